import { setTimeout as sleep } from 'node:timers/promises'
import type { Row } from '../row.ts'

const WARM_UP = 500
const CONNECTIONS = 5_000
// Closed connections, and what the collector leaves for later, go meanwhile.
const SETTLE = 700

/** What an idle connection keeps in memory. */
export const memory: Row = {
  name: 'memory',
  title: `Memory of an idle connection, ${CONNECTIONS} of them, after a collection`,
  unit: 'bytes per connection',
  better: 'less',
  subjects: [
    { name: 'app.ws', server: 'ours', path: '/idle' },
    { name: '@fastify/websocket', server: 'fastify-websocket', path: '/idle' }
  ],
  control: '@fastify/websocket',
  expected: {},
  async measure(bench, { path }) {
    await bench.open(path, WARM_UP)
    await bench.load.run({ do: 'closeAll' })
    await sleep(SETTLE)
    const before = await bench.server.memory()
    await bench.open(path, CONNECTIONS)
    await sleep(SETTLE)
    const after = await bench.server.memory()
    return { value: (after - before) / CONNECTIONS, contention: 0 }
  }
}
