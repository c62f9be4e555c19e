import { subprotocols } from '/modules/realtime-client.js'

// Six times what a connection may send in a second, and three times what it may send at once.
const FLOOD = 600
const TOO_MANY_REQUESTS = 111
// What a stroke may have, and a little more.
const TOO_LARGE = 64 * 1024 + 1
const TOO_DEEP = 65
const PATIENCE = 10_000

/**
 * Asks the server far more than it allows, all at once, over the page's own connection.
 *
 * @param {import('./connection.js').Connection} connection
 */
export async function flood({ client }) {
  // An unknown method costs nobody anything, and is answered all the same.
  const asked = Array.from({ length: FLOOD }, () =>
    client.rpc('flood', {}).then(
      () => 0,
      ({ code }) => code
    )
  )
  const codes = await Promise.all(asked)
  return { sent: FLOOD, refused: codes.filter((code) => code === TOO_MANY_REQUESTS).length }
}

/** What no client of ours would send, and the way to say it. */
const GARBAGE = [
  { what: 'Not JSON', message: '{"points":[' },
  { what: `${TOO_DEEP} levels deep`, message: `${'['.repeat(TOO_DEEP)}${']'.repeat(TOO_DEEP)}` },
  { what: 'Binary', message: new Uint8Array([1, 2, 3]) },
  { what: 'More than 64 KiB', message: `"${'x'.repeat(TOO_LARGE)}"` }
]

/**
 * Sends each of these over a WebSocket of its own with the page's token.
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

/** The next thing that is said of an error, or the close; strokes of others are none. */
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
