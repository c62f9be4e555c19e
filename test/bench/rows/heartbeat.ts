import { setTimeout as sleep } from 'node:timers/promises'
import { Bench, measured, type Subject } from '../bench.ts'
import { contender, type Row } from '../row.ts'
import { offers } from '../servers/support.ts'

const CONNECTIONS = 15_000
// Milliseconds: until the handshakes are done with, and two intervals of the heartbeat.
const SETTLE = 4_000
const TIME = 50_000

const ours: Subject = { name: 'app.ws', server: 'ours.ts', path: '/idle', offers: offers(CONNECTIONS) }

/** Connections without messages, but for the heartbeat. The clients sleep meanwhile, as real ones do. */
export const heartbeat: Row = {
  name: 'heartbeat',
  title: `Heartbeat of ${CONNECTIONS} idle connections, every 25 s`,
  unit: '% of a core',
  better: 'less',
  long: true,
  contenders: [
    contender(ours.name, () =>
      Bench.use(ours, async (bench) => {
        await bench.open(CONNECTIONS)
        await bench.load.run({ do: 'rest' })
        await sleep(SETTLE)
        const watched = await bench.watch(() => sleep(TIME))
        if (watched.pings < CONNECTIONS) throw new Error(`Only ${watched.pings} pings arrived`)
        return measured({ ...watched, generator: undefined }, (100 * watched.cpu) / watched.time)
      })
    )
  ],
  goals: [{ work: 'heartbeat of 15,000 idle at 25 s, % of a core', figure: ours.name, must: 3.2, aim: 2.3 }]
}
