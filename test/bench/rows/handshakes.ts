import { setTimeout as sleep } from 'node:timers/promises'
import { Bench, measured, type Subject } from '../bench.ts'
import { contender, type Row } from '../row.ts'
import { offers } from '../servers/support.ts'

const CONNECTIONS = 4_000
// The engine compiles a server's code during its first ten thousand handshakes, and a server runs for weeks.
const WARM_UPS = 4
// Milliseconds in which the server finishes with closed connections.
const SETTLE = 500

const ours: Subject = { name: 'app.ws', server: 'ours.ts', path: '/idle', offers: offers(CONNECTIONS) }
const raw: Subject = { ...ours, name: 'raw route', path: '/raw' }
const byHand: Subject = { ...ours, name: '@fastify/websocket + jwtVerify', server: 'fastify-websocket.ts' }

/** An upgrade, and a token that is verified. */
export const handshakes: Row = {
  name: 'handshakes',
  title: `Handshakes with a JWT in the subprotocol, ${CONNECTIONS} connections that stay open, after ${WARM_UPS} times as many others`,
  unit: 'CPU microseconds each',
  better: 'less',
  contenders: [ours, raw, byHand].map((subject) =>
    contender(subject.name, () =>
      Bench.use(subject, async (bench) => {
        for (let round = 0; round < WARM_UPS; round++) {
          await bench.open(CONNECTIONS)
          await bench.load.run({ do: 'closeAll' })
          await sleep(SETTLE)
        }
        const watched = await bench.watch(() => bench.open(CONNECTIONS))
        return measured(watched, (watched.cpu * 1e6) / CONNECTIONS)
      })
    )
  ),
  control: byHand.name,
  goals: [
    { work: 'handshake with JWT, CPU / by hand', figure: ours.name, against: byHand.name, must: 1.1, aim: 1 },
    { work: 'the same for a raw route', figure: raw.name, against: byHand.name, must: 1.05, aim: 0.95 }
  ]
}
