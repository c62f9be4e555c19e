import { Bench, measured, type Subject } from '../bench.ts'
import { contender, type Row } from '../row.ts'
import { offers } from '../servers/support.ts'

const CONNECTIONS = 1_000
const FEW = 1_000
const MANY = 100_000
const BURST = 64
// CPU seconds of the server.
const WARM_UP = 1
const TIME = 2

const name = (channels: number) => `${channels.toLocaleString('en-US')} channels`
const users = offers(CONNECTIONS)

function publishes(channels: number) {
  const subject: Subject = {
    name: name(channels),
    server: 'ours.ts',
    path: '/subscribe',
    publisher: `/pub-many?channels=${channels}`,
    offers: users
  }
  const each = channels / CONNECTIONS
  const texts = Array.from({ length: CONNECTIONS }, (_, connection) =>
    JSON.stringify(Array.from({ length: each }, (_, at) => `many/${connection * each + at}`))
  )
  return contender(subject.name, () =>
    Bench.use(subject, async (bench) => {
      await bench.open(CONNECTIONS)
      await bench.load.run({ do: 'ask', texts, answers: 1 })
      await bench.publish(BURST, 1)
      const watched = await bench.watchFor(WARM_UP, TIME)
      return measured(watched, (watched.cpu * 1e6) / watched.messages)
    })
  )
}

export const channels: Row = {
  name: 'channels-100000',
  title: `A publish to one of many channels with one subscriber each, ${BURST} at a time`,
  unit: 'CPU microseconds each',
  better: 'less',
  long: true,
  contenders: [FEW, MANY].map(publishes),
  control: name(FEW),
  goals: [
    { work: 'publish with 100,000 channels / 1,000, cost', figure: name(MANY), against: name(FEW), must: 1.2, aim: 1.1 }
  ]
}
