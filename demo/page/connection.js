import { shouldReconnect, subprotocols } from '/modules/realtime-client.js'
import ReconnectingSocket from '/modules/reconnecting-socket.js'

const UNAUTHORIZED = 4401
const RATE_LIMITED = 4429
// A token may have ended with the server that made it. A third refusal is no accident.
const MAX_REFUSALS = 2
// A refusal after this long is no refusal: the token had been good.
const SETTLED = 5_000
const LONG_BACKOFF = 15_000

/**
 * A board's connection: what the reconnecting socket doesn't know of tokens, close codes and drains.
 *
 * Events: `status` (see `status` and `attempt`), `open`, `down` (`code`, `reason`), `stroke`, `fault` (`code`,
 * `message`, `retryAfter`) and `notice` (`code` and more), all with `detail`.
 */
export class Connection extends EventTarget {
  /** @type {'connecting' | 'connected' | 'reconnecting' | 'draining' | 'offline' | 'signed-out' | 'closed'} */
  status = 'connecting'
  /** How often it was tried since the last connection. */
  attempt = 0
  #board
  #user
  #token = ''
  #socket
  #refusals = 0
  #openedAt = 0
  #notBefore = 0
  /** Goes up with each change of board or user, so that a connection made for the last ones is known. */
  #wanted = 0
  #offered = 0

  /** @param {{ board: string, user: string }} options */
  constructor({ board, user }) {
    super()
    this.#board = board
    this.#user = user
    this.#socket = new ReconnectingSocket(
      () => this.#address(),
      () => this.#protocols(),
      {
        shouldReconnectOnClose: (event) => this.#mayReconnect(event),
        // Each page at its own pace, or all would come back to a restarted server at once.
        minReconnectionDelay: 500 + Math.random() * 1_000,
        maxReconnectionDelay: 8_000 + Math.random() * 4_000,
        reconnectionDelayGrowFactor: 1.6,
        connectionTimeout: 8_000,
        // What is unsent is kept by who sends it, until it is confirmed.
        maxEnqueuedMessages: 0
      }
    )
    this.#socket.addEventListener('open', () => this.#opened())
    this.#socket.addEventListener('message', ({ data }) => this.#received(JSON.parse(data)))
    this.#socket.addEventListener('close', ({ code, reason }) => this.#down(code, reason))
    addEventListener('offline', () => this.#tell('offline'))
    addEventListener('online', () => this.#stopped || this.#socket.reconnect())
  }

  /** Goes to another board, or as another user. */
  change({ board = this.#board, user = this.#user }) {
    if (board === this.#board && user === this.#user) return
    if (user !== this.#user) this.#token = ''
    this.#board = board
    this.#user = user
    this.restart()
  }

  /** Connects anew, also where it had given up. */
  restart() {
    this.#wanted++
    this.#refusals = 0
    this.#tell('connecting')
    this.#socket.reconnect()
  }

  /** Sends a message, and says whether it left. */
  send(message) {
    const isOpen = this.#socket.readyState === WebSocket.OPEN
    return isOpen && this.#socket.send(JSON.stringify(message))
  }

  get #stopped() {
    return this.status === 'signed-out' || this.status === 'closed'
  }

  async #address() {
    this.#offered = this.#wanted
    const wait = this.#notBefore - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    const address = new URL(`/ws/boards/${this.#board}`, location.href)
    address.protocol = address.protocol.replace('http', 'ws')
    return address.href
  }

  async #protocols() {
    this.#token ||= await fetchToken(this.#user)
    return subprotocols(this.#token)
  }

  #opened() {
    if (this.#offered !== this.#wanted) {
      this.#socket.reconnect()
      return
    }
    this.#openedAt = performance.now()
    this.attempt = 0
    this.#tell('connected')
    this.#emit('open')
  }

  #received(message) {
    if (message.data) this.#emit('stroke', message.data)
    else if (message.error) this.#emit('fault', message.error)
    else if (message.notice) {
      const { code, reconnectAfter } = message.notice
      if (code === 'draining') {
        this.#notBefore = performance.now() + reconnectAfter
        this.#tell('draining')
      }
      this.#emit('notice', message.notice)
    }
  }

  /** Asked before the socket's own `close` event. */
  #mayReconnect({ code, isTrusted }) {
    // The library makes events with code 1000 of its own, where a handshake failed.
    if (!isTrusted) return true
    if (code === RATE_LIMITED) this.#notBefore = performance.now() + LONG_BACKOFF
    if (code !== UNAUTHORIZED) return shouldReconnect(code)
    this.#token = ''
    if (performance.now() - this.#openedAt > SETTLED) this.#refusals = 0
    return ++this.#refusals <= MAX_REFUSALS
  }

  #down(code, reason) {
    this.attempt = this.#socket.retryCount
    if (!this.#socket.shouldReconnect) this.#tell(code === UNAUTHORIZED ? 'signed-out' : 'closed')
    else if (!navigator.onLine) this.#tell('offline')
    else if (this.status !== 'connecting' || this.attempt > 0) this.#tell('reconnecting')
    this.#emit('down', { code, reason })
  }

  #tell(status) {
    this.status = status
    this.#emit('status')
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }
}

async function fetchToken(user) {
  const response = await fetch('/api/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user })
  })
  if (!response.ok) throw new Error(`no token: HTTP ${response.status}`)
  const { token } = await response.json()
  return token
}
