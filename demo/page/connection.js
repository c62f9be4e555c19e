import { Centrifuge } from '/modules/centrifuge.js'
import { fetchToken } from './token.js'

// Codes of the channel protocol.
const SHUTDOWN = 3001
const INVALID_TOKEN = 3500
// A token may have ended with the server that made it. A third refusal is no accident.
const MAX_REFUSALS = 2
const REFUSAL_DELAY = 300
// Between those the client waits longer with each attempt, and each page another while.
const MIN_DELAY = 200
const MAX_DELAY = 8_000

/**
 * The page's one connection, over which all its channels go: what the client doesn't know of names, tokens that are
 * refused, and what to tell the user.
 *
 * Events: `status` (see `status` and `attempt`), `open`, and `down` with `detail` (`code`, `reason`).
 */
export class Connection extends EventTarget {
  /** @type {'connecting' | 'connected' | 'reconnecting' | 'draining' | 'offline' | 'signed-out' | 'closed'} */
  status = 'connecting'
  /** Which attempt to connect this is, since the last connection. */
  attempt = 1
  /** What the server calls this connection; empty while there is none. */
  id = ''
  #user
  #token = ''
  #refusals = 0

  /** @param {string} user */
  constructor(user) {
    super()
    this.#user = user
    const address = new URL('/connection/websocket', location.href)
    address.protocol = address.protocol.replace('http', 'ws')
    this.client = new Centrifuge(address.href, {
      getToken: () => this.#fetchToken(),
      minReconnectDelay: MIN_DELAY,
      maxReconnectDelay: MAX_DELAY,
      name: 'whiteboard'
    })
    this.client.on('connected', ({ client }) => this.#connected(client))
    this.client.on('connecting', ({ code, reason }) => this.#lost(code, reason))
    this.client.on('disconnected', ({ code, reason }) => this.#ended(code, reason))
    this.client.on('error', () => this.#failed())
    addEventListener('offline', () => this.#stopped || this.#tell('offline'))
    this.client.connect()
  }

  get user() {
    return this.#user
  }

  /** The token that this connection was made with. */
  get token() {
    return this.#token
  }

  /** Connects anew, as another user or where it had given up. */
  restart(user = this.#user) {
    this.#user = user
    this.#refusals = 0
    this.#connectAgain('connecting')
  }

  get #stopped() {
    return this.status === 'signed-out' || this.status === 'closed'
  }

  async #fetchToken() {
    const user = this.#user
    const token = await fetchToken(user)
    // Meanwhile another name was chosen.
    if (user !== this.#user) return this.#fetchToken()
    this.#token = token
    return token
  }

  #connectAgain(status) {
    this.attempt = 1
    this.client.disconnect()
    this.client.setToken('')
    this.#tell(status)
    this.client.connect()
  }

  #connected(id) {
    this.id = id
    this.attempt = 1
    this.#refusals = 0
    this.#tell('connected')
    this.#emit('open')
  }

  /** There was a connection, and the client tries for another; or it tries for the first. */
  #lost(code, reason) {
    if (this.id === '') return
    this.id = ''
    this.attempt = 1
    if (code === SHUTDOWN) this.#tell('draining')
    else this.#tell(navigator.onLine ? 'reconnecting' : 'offline')
    this.#emit('down', { code, reason })
  }

  #failed() {
    if (this.id !== '') return
    this.attempt++
    this.#tell(navigator.onLine ? 'reconnecting' : 'offline')
  }

  #ended(code, reason) {
    this.id = ''
    // With 0 it was this page's own wish.
    if (code === INVALID_TOKEN && ++this.#refusals > MAX_REFUSALS) this.#tell('signed-out')
    else if (code === INVALID_TOKEN) {
      setTimeout(() => this.#stopped || this.#connectAgain('reconnecting'), REFUSAL_DELAY)
    } else if (code !== 0) this.#tell('closed')
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
