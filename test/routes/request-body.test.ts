import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { inspect } from 'node:util'
import Fastify from 'fastify'
import t from 'tap'
import { bodyScope, RequestBody } from '../../lib/routes/request-body.ts'

t.test('the body of a request in a scope', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const { scope } = await bodyScope(app)
  app.addHook('onRequest', async (_request, reply) => void reply.header('x-late', 'yes'))
  scope.post('/body', async ({ body }) => (body as RequestBody | undefined)?.take()?.length ?? 'none')
  app.post('/json', async ({ body }) => body)
  const post = async (url: string, payload: string, type = 'application/json') => {
    const { body, headers } = await app.inject({ method: 'POST', url, payload, headers: { 'content-type': type } })
    t.equal(headers['x-late'], 'yes')
    return body
  }
  t.equal(await post('/body', '{"a":'), '5')
  t.equal(await post('/body', 'abc', 'text/x'), '3')
  t.equal(await post('/body', 'x'.repeat(65_536)), '65536')
  t.equal(await post('/body', 'x'.repeat(65_537)), 'none')
  t.equal(await post('/json', '{"a":1}'), '{"a":1}')
})

t.test('the bytes are shown to no log', async (t) => {
  const body = new RequestBody(Buffer.from('secret'))
  t.notMatch(`${inspect(body)}${JSON.stringify(body)}`, /secret|115/)
  t.equal(body.take()?.toString(), 'secret')
  t.equal(body.take(), undefined)
})

t.test('a client that leaves in the middle of a body', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const { scope } = await bodyScope(app)
  const failed = new Promise<Error>((resolve) => {
    app.addHook('onError', async (_request, _reply, error) => resolve(error))
  })
  scope.post('/body', async () => t.fail('the body is not whole'))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('POST /body HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\nabc')
  await once(app.server, 'request')
  socket.destroy()
  t.match(await failed, { statusCode: 400 })
})
