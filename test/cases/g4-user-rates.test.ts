import t from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import { freshPrefix } from '../broker/redis/bench.ts'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { RedisServer, until } from '../support/redis-server.ts'

const server = await RedisServer.start(t)
const COUNT = 200
const userMessages = { rate: 1_000, burst: COUNT }

for (const redis of [undefined, server.url]) {
  for (const nodes of redis === undefined ? [1] : [1, 2]) {
    t.test(
      `case 144: a burst after a silence, ${redis ? 'over Redis' : 'in memory'}, on ${nodes} node(s)`,
      async (t) => {
        const prefix = freshPrefix()
        const clients = await Promise.all(
          Array.from({ length: nodes }, async () => {
            const { app } = await buildApp(t, { redis, prefix, limits: { messages: false, userMessages } })
            app.ws('/echo', async (socket) => {
              for await (const message of socket.messages()) socket.sendJson({ echo: message })
            })
            return connect(app, '/echo', { token: testToken({ sub: 'ada' }) })
          })
        )
        for (let burst = 0; burst < 3; burst++) {
          for (const client of clients) for (let n = 0; n < COUNT / nodes; n++) client.send(n)
          for (const client of clients) {
            for (let n = 0; n < COUNT / nodes; n++) t.strictSame(await client.next(), { echo: n })
          }
          // A silence in which the bucket fills up, with what a busy machine may take to answer before that.
          const since = performance.now()
          await until(() => performance.now() - since > 400)
        }
      }
    )
  }
}
