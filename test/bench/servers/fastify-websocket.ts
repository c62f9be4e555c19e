import jwt from '@fastify/jwt'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import { BACKLOG, HOST, listening, MESSAGE, SECRET } from './support.ts'

/*
 * Control: @fastify/websocket by hand, with no more around it than the task needs. The token is in the subprotocol
 * header. JSON is parsed, validated by Fastify's own Ajv and serialized again.
 */
const app = Fastify()
await app.register(websocket, {
  options: {
    perMessageDeflate: false,
    maxPayload: 1_048_576,
    handleProtocols: (offered) => (offered.has('realtime.v1') ? 'realtime.v1' : false)
  }
})
await app.register(jwt, {
  secret: SECRET,
  verify: { extractToken: (request) => request.headers['sec-websocket-protocol']?.split('bearer.')[1] }
})

app.addHook('preValidation', (request) => request.jwtVerify())
app.get('/idle', { websocket: true }, (socket) => {
  socket.on('message', () => {})
})
app.get('/echo', { websocket: true }, (socket, request) => {
  const validate = request.compileValidationSchema(MESSAGE)
  socket.on('message', (data: Buffer) => {
    const message: unknown = JSON.parse(data.toString())
    if (validate(message)) socket.send(JSON.stringify(message))
    else socket.close(1008)
  })
})

await app.listen({ port: 0, host: HOST, backlog: BACKLOG })
listening(app.server)
