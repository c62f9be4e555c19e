import { subprotocols } from 'fastify-realtime/client'

// Six times the messages that a connection may send in a second, and three times those that it may send at once.
const FLOOD = 600
const TOO_MANY_REQUESTS = 111
// The numbers that a stroke may have, and a few more.
const TOO_LARGE = 64 * 1024 + 1
const TOO_DEEP = 65
const PATIENCE = 10_000

/**
 * Sends far more calls than the server allows, all at once, over the page's own connection.
 *
 * @param {import('./connection.js').Connection} connection
 */
export async function flood({ client }) {
  // An unknown method costs little, and is answered all the same.
  const asked = Array.from({ length: FLOOD }, () =>
    client.rpc('flood', {}).then(
      () => 0,
      ({ code }) => code
    )
  )
  const codes = await Promise.all(asked)
  return { sent: FLOOD, refused: codes.filter((code) => code === TOO_MANY_REQUESTS).length }
}

/** Messages that no client of ours sends, each with its way of sending. */
const GARBAGE = [
  { what: 'Not JSON', message: '{"points":[' },
  { what: `${TOO_DEEP} levels deep`, message: `${'['.repeat(TOO_DEEP)}${']'.repeat(TOO_DEEP)}` },
  { what: 'Binary', message: new Uint8Array([1, 2, 3]) },
  { what: 'More than 64 KiB', message: `"${'x'.repeat(TOO_LARGE)}"` }
]

/**
 * Sends each of these over a separate WebSocket with the page's token.
 *
 * @param {string} board @param {string} token
 * @returns {Promise<{ what: string, answer: string }[]>}
 */
export async function sendGarbage(board, token) {
  const address = new URL(`/ws/boards/${board}`, location.href)
  address.protocol = address.protocol.replace('http', 'ws')
  const socket = new WebSocket(address, subprotocols(token))
  try {
    await next(socket, 'open')
    const answers = []
    for (const { what, message } of GARBAGE) {
      socket.send(message)
      answers.push({ what, answer: await answerOf(socket) })
    }
    return answers
  } finally {
    socket.close()
  }
}

/** The next error or the close; strokes of others do not count. */
async function answerOf(socket) {
  for (;;) {
    const event = await next(socket, 'message', 'close')
    if (event.type === 'close') return `closed with ${event.code}${event.reason ? ` (${event.reason})` : ''}`
    const { error } = JSON.parse(event.data)
    if (error !== undefined) return `answered ${error.code}, and the connection goes on`
  }
}

function next(socket, ...types) {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(PATIENCE)
    const settled = new AbortController()
    const options = { signal: AbortSignal.any([signal, settled.signal]) }
    const settle = (act) => (event) => {
      settled.abort()
      act(event)
    }
    for (const type of types) socket.addEventListener(type, settle(resolve), options)
    socket.addEventListener(
      'error',
      settle(() => reject(new Error('The connection failed'))),
      options
    )
    signal.addEventListener('abort', () => reject(new Error('No answer')), { signal: settled.signal })
  })
}
