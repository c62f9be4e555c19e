import { once } from 'node:events'
import { WebSocket } from 'ws'

/*
 * The child process of `Crowd` (crowd.ts): opens connections, tells its parent, and reports what became of them once all
 * have closed. Times are Date.now(), which processes of one machine share.
 */

export interface Member {
  code: number
  closedAt: number
  /** From the draining notice, where one came. */
  reconnectAfter?: number
  noticedAt?: number
  /** Of busy ones: when each message was sent and when answered. */
  sentAt: number[]
  answeredAt: number[]
  /** What it did not expect. */
  fault?: string
}

// As many handshakes at a time as a server's accept queue surely takes.
const AT_ONCE = 50

const { url, count, token, busy } = JSON.parse(process.argv[2] as string) as {
  url: string
  count: number
  token?: string
  busy: boolean
}
const members: Member[] = []
const sockets: WebSocket[] = []

async function join(): Promise<void> {
  const socket = new WebSocket(url, token === undefined ? [] : ['realtime.v1', `bearer.${token}`])
  const member: Member = { code: 0, closedAt: 0, sentAt: [], answeredAt: [] }
  socket.on('message', (data) => receive(socket, member, JSON.parse(String(data))))
  socket.on('error', (error) => {
    member.fault = error.message
  })
  const closed = once(socket, 'close').then(([code]) => {
    member.code = code as number
    member.closedAt = Date.now()
  })
  await once(socket, 'open')
  members.push(member)
  sockets.push(socket)
  ends.push(closed)
}

function send(socket: WebSocket, member: Member): void {
  const text = String(member.sentAt.length)
  member.sentAt.push(Date.now())
  socket.send(JSON.stringify({ text }))
}

type Message = { notice?: { code: string; reconnectAfter: number }; echo?: { text: string } }

function receive(socket: WebSocket, member: Member, { notice, echo }: Message): void {
  if (notice?.code === 'draining') {
    member.reconnectAfter = notice.reconnectAfter
    member.noticedAt = Date.now()
  } else if (echo?.text === String(member.answeredAt.length)) {
    member.answeredAt.push(Date.now())
    // Below the limit of 100 a second, and always one on its way.
    if (socket.readyState === WebSocket.OPEN) setTimeout(() => send(socket, member), 20)
  } else member.fault = `got ${JSON.stringify(echo ?? notice)} in place of answer ${member.answeredAt.length}`
}

const ends: Promise<void>[] = []
for (let left = count; left > 0; left -= AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, join))
}
if (busy) for (const [i, socket] of sockets.entries()) send(socket, members[i] as Member)
process.send?.('joined')
await Promise.all(ends)
process.send?.(members)
process.disconnect()
