import { createServer } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import { BACKLOG, HOST, listening } from './support.ts'

/* Control: most applications. The `ws` package, and a loop that sends each message to each socket. */
const subscribers = new Set<WebSocket>()
const server = createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false })

function broadcast(data: Buffer): void {
  const text = data.toString()
  for (const subscriber of subscribers) if (subscriber.readyState === WebSocket.OPEN) subscriber.send(text)
}

sockets.on('connection', (socket, request) => {
  socket.on('error', () => socket.terminate())
  if (request.url === '/pub') {
    socket.on('message', broadcast)
    return
  }
  subscribers.add(socket)
  socket.on('message', () => {})
  socket.on('close', () => subscribers.delete(socket))
})
server.listen({ port: 0, host: HOST, backlog: BACKLOG }, () => listening(server))
