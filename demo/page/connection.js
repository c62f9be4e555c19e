import { Centrifuge } from 'centrifuge'
import { fetchToken } from './token.js'

// Codes of the channel protocol.
const SHUTDOWN = 3001
const INVALID_TOKEN = 3500
// A token may have ended with the server that made it. A third refusal is no accident.
const MAX_REFUSALS = 2
const REFUSAL_DELAY = 300
// Between these bounds the client waits longer with each attempt, and each page for another time.
const MIN_DELAY = 200
const MAX_DELAY = 8_000

/** In the order in which the client tries them: a network may block WebSockets. */
function transports() {
  return [
    { transport: 'websocket', endpoint: addressOf('/connection/websocket').replace('http', 'ws') },
    { transport: 'http_stream', endpoint: addressOf('/connection/http_stream') },
    { transport: 'sse', endpoint: addressOf('/connection/sse') }
  ]
}

/** @param {string} path */
function addressOf(path) {
  return new URL(path, location.href).href
}

/**
 * The page's one connection, which carries all its channels. It adds what the client does not have: names, refused
 * tokens, and the status for the user.
 *
 * Events: `status` (see `status` and `attempt`), `open`, and `down` with `detail` (`code`, `reason`).
 */
export class Connection extends EventTarget {
  /** @type {'connecting' | 'connected' | 'reconnecting' | 'draining' | 'offline' | 'signed-out' | 'closed'} */
  status = 'connecting'
  /** The number of the attempt to connect, since the last connection. */
  attempt = 1
  /** The server's id of this connection; empty while there is none. */
  id = ''
  #user
  #token = ''
  #refusals = 0

  /** @param {string} user */
  constructor(user) {
    super()
    this.#user = user
    this.client = new Centrifuge(transports(), {
      emulationEndpoint: addressOf('/emulation'),
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

  /** The token with which this connection was made. */
  get token() {
    return this.#token
  }

  /** Connects again, as another user or after it had given up. */
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
    // The user has chosen another name meanwhile.
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

  /** There was a connection, and the client tries to make another; or it tries to make the first. */
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
    // With 0 this page closed it itself.
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
