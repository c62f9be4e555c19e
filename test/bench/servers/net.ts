import { createHash } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { textFrame } from '../../../lib/protocol/frame.ts'
import { BACKLOG, HOST, listening } from './support.ts'

/*
 * Control: the least that Node needs. No library: a message is framed once, and the frame is written to each socket.
 * Just enough of WebSocket for the load generator.
 */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const subscribers = new Set<Socket>()

function upgrade(socket: Socket, head: string): void {
  const key = /sec-websocket-key: (.*)/i.exec(head)?.[1]?.trim()
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64')
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`
  )
  if (!head.startsWith('GET /pub')) subscribers.add(socket)
}

/** Takes whole masked frames of less than 64 KiB off the front. Returns the rest. */
function readFrames(data: Buffer): Buffer {
  let at = 0
  while (data.length - at >= 8) {
    const short = (data[at + 1] as number) & 0x7f
    const length = short === 126 ? data.readUInt16BE(at + 2) : short
    const mask = at + (short === 126 ? 4 : 2)
    const start = mask + 4
    if (data.length < start + length) break
    const payload = data.subarray(start, start + length)
    for (let i = 0; i < length; i++) payload[i] = (payload[i] as number) ^ (data[mask + (i & 3)] as number)
    const frame = textFrame(payload.toString())
    for (const subscriber of subscribers) subscriber.write(frame)
    at = start + length
  }
  return data.subarray(at)
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer = Buffer.alloc(0)
  let open = false
  socket.on('data', (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    if (!open) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return
      upgrade(socket, rest.toString('latin1', 0, end))
      open = true
      rest = rest.subarray(end + 4)
    }
    rest = readFrames(rest)
  })
  socket.on('close', () => subscribers.delete(socket))
  socket.on('error', () => socket.destroy())
})
server.listen({ port: 0, host: HOST, backlog: BACKLOG }, () => listening(server))
