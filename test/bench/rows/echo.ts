import type { Row } from '../row.ts'

const CONNECTIONS = 100
// CPU seconds of the server. The machine’s own ups and downs last a second or two: the longer, the less they count.
const WARM_UP = 3
const TIME = 3

/** Messages of JSON, parsed, validated, written again and sent back. */
export const echo: Row = {
  name: 'echo',
  title: `Echo of JSON with validation, ${CONNECTIONS} connections, one message in flight on each`,
  unit: 'messages per CPU second',
  better: 'more',
  subjects: [
    { name: 'app.ws, for await', server: 'ours', path: '/echo' },
    { name: '@fastify/websocket by hand', server: 'fastify-websocket', path: '/echo' }
  ],
  control: '@fastify/websocket by hand',
  expected: { 'app.ws, for await': 1 },
  async measure(bench, { path }) {
    await bench.open(path, CONNECTIONS)
    await bench.load.run({ do: 'echo' })
    return bench.throughput(WARM_UP, TIME)
  }
}
