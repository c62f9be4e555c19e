import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-adapter'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'
import { BACKLOG, HOST, listening } from './support.ts'

/* Control: socket.io and its Redis adapter, over WebSocket alone. */
const ROOM = 'bench'
const publisher = new Redis(process.env.REDIS_URL as string)
const server = createServer()
const io = new Server(server, {
  adapter: createAdapter(publisher, publisher.duplicate()),
  transports: ['websocket'],
  serveClient: false,
  perMessageDeflate: false
})

io.on('connection', (socket) => {
  if (socket.handshake.query.role === 'pub') socket.on('pub', (message: unknown) => io.to(ROOM).emit('msg', message))
  else void socket.join(ROOM)
})
server.listen({ port: 0, host: HOST, backlog: BACKLOG }, () => listening(server))
