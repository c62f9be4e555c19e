import { createServer } from 'node:http'
import { Redis } from 'ioredis'
import { WebSocket, WebSocketServer } from 'ws'
import { BACKLOG, HOST, listening } from './support.ts'

/*
 * Control: several processes by hand. The `ws` package, ioredis, and a loop that sends each message from Redis to each
 * socket.
 */
const CHANNEL = 'bench'
const publisher = new Redis(process.env.REDIS_URL as string, { enableAutoPipelining: true })
const listener = new Redis(process.env.REDIS_URL as string)
const subscribers = new Set<WebSocket>()
const server = createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false })

listener.on('message', (_channel, text) => {
  for (const subscriber of subscribers) if (subscriber.readyState === WebSocket.OPEN) subscriber.send(text)
})
await listener.subscribe(CHANNEL)

sockets.on('connection', (socket, request) => {
  socket.on('error', () => socket.terminate())
  if (request.url === '/pub') {
    socket.on('message', (data: Buffer) => void publisher.publish(CHANNEL, data.toString()))
    return
  }
  subscribers.add(socket)
  socket.on('message', () => {})
  socket.on('close', () => subscribers.delete(socket))
})
server.listen({ port: 0, host: HOST, backlog: BACKLOG }, () => listening(server))
