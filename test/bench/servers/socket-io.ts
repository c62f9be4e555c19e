import { createServer } from 'node:http'
import { createAdapter } from '@socket.io/redis-adapter'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'
import { BACKLOG, HOST, listening } from './support.ts'

/* Control: socket.io, over WebSocket alone. With a Redis, it uses its Redis adapter. */
const ROOM = 'bench'

function redisAdapter(url: string) {
  const publisher = new Redis(url)
  return createAdapter(publisher, publisher.duplicate())
}

const server = createServer()
const io = new Server(server, {
  ...(process.env.REDIS_URL === undefined ? {} : { adapter: redisAdapter(process.env.REDIS_URL) }),
  transports: ['websocket'],
  serveClient: false,
  perMessageDeflate: false
})

io.on('connection', (socket) => {
  if (socket.handshake.query.role === 'pub') socket.on('pub', (message: unknown) => io.to(ROOM).emit('msg', message))
  else void socket.join(ROOM)
})
server.listen({ port: 0, host: HOST, backlog: BACKLOG }, () => listening(server))
