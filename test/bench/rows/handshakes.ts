import { setTimeout as sleep } from 'node:timers/promises'
import { testToken } from 'fastify-realtime/testing'
import type { Row } from '../row.ts'
import { SECRET } from '../servers/support.ts'

const WARM_UP = 1_000
const CONNECTIONS = 4_000
const SETTLE = 500

const offers = Array.from({ length: CONNECTIONS }, (_, index) => {
  return `realtime.v1, bearer.${testToken({ sub: `user-${index}` }, { secret: SECRET })}`
})

/** What it costs to let somebody in: the upgrade, and a token that is verified. */
export const handshakes: Row = {
  name: 'handshakes',
  title: `Handshakes with a JWT in the subprotocol, ${CONNECTIONS} connections that stay open`,
  unit: 'handshakes per CPU second',
  better: 'more',
  subjects: [
    { name: 'app.ws', server: 'ours', path: '/token' },
    { name: '@fastify/websocket + jwtVerify', server: 'fastify-websocket', path: '/token' }
  ],
  control: '@fastify/websocket + jwtVerify',
  expected: {},
  async measure(bench, { path }) {
    await bench.open(path, WARM_UP, offers)
    await bench.load.run({ do: 'closeAll' })
    await sleep(SETTLE)
    const { cpu, messages: _, ...rest } = await bench.watch(() => bench.open(path, CONNECTIONS, offers))
    return { value: CONNECTIONS / cpu, ...rest }
  }
}
