import { Bench, type Subject } from '../bench.ts'
import { contender, type Row } from '../row.ts'
import { offers } from '../servers/support.ts'

const CONNECTIONS = 100
// CPU seconds of the server. The machine's own ups and downs last a second or two, so a short measurement shows them.
const WARM_UP = 2
const TIME = 3

const ours: Subject = { name: 'app.ws', server: 'ours.ts', path: '/echo', offers: offers(CONNECTIONS) }
const byHand: Subject = { ...ours, name: '@fastify/websocket by hand', server: 'fastify-websocket.ts' }

/** Messages of JSON: parsed, validated, serialized and sent back. */
export const echo: Row = {
  name: 'echo',
  title: `Echo of JSON with validation, ${CONNECTIONS} connections, one message in flight on each`,
  unit: 'messages per CPU second',
  better: 'more',
  contenders: [ours, byHand].map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        await bench.open(CONNECTIONS)
        await bench.load.run({ do: 'echo' })
        return bench.throughput(WARM_UP, TIME)
      })
    )
  ),
  control: byHand.name,
  goals: [{ work: 'echo of JSON with schema / by hand', figure: ours.name, against: byHand.name, must: 1.1, aim: 1.15 }]
}
