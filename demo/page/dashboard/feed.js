import { Centrifuge, UnauthorizedError } from '/modules/centrifuge.js'

const NODES = 'dashboard/nodes'
const CONNECTIONS = 'dashboard/connections'
// As many as the channel keeps.
const HISTORY = 1_000
const DENIED = 103
// With these codes client and server report an invalid token.
const UNAUTHORIZED = 1
const INVALID_TOKEN = 3500
const MAX_RECONNECT_DELAY = 4_000

/**
 * The dashboard's connection: the channels on which all nodes publish, and the methods of the node at its other end.
 *
 * Events: `status`, `snapshot` (`detail` is one, see demo/dashboard/node.ts), `table` (`detail` is a node's answer, see
 * demo/dashboard/broadcast.ts), `denied` (the token is not an administrator's), `signed-out` (it is no longer valid)
 * and `closed` (`code`, `reason`: for good).
 */
export class Feed extends EventTarget {
  /** @type {'connecting' | 'connected' | 'reconnecting' | 'closed'} */
  status = 'connecting'
  /** Attempts since the last connection. */
  attempt = 0
  /** The id of this page's own connection. */
  connection = ''
  /** The node at the other end, once it is known. @type {string | undefined} */
  self
  #client
  #table
  #query
  #asked = 0

  /** @param {{ getToken(): Promise<string | undefined>, query: object }} options */
  constructor({ getToken, query }) {
    super()
    this.#query = query
    const address = new URL('/connection/websocket', location.href)
    address.protocol = address.protocol.replace('http', 'ws')
    const client = new Centrifuge(address.href, {
      maxReconnectDelay: MAX_RECONNECT_DELAY,
      name: 'dashboard',
      getToken: async () => {
        const token = await getToken()
        if (token === undefined) throw new UnauthorizedError('signed out')
        return token
      }
    })
    this.#client = client
    client.on('connecting', ({ code }) => this.#tell(code === 0 ? 'connecting' : 'reconnecting'))
    client.on('error', ({ type }) => this.#failed(type))
    client.on('connected', (context) => this.#connected(context))
    client.on('disconnected', (context) => this.#disconnected(context))
    const nodes = client.newSubscription(NODES)
    nodes.on('publication', ({ data }) => this.#emit('snapshot', data))
    nodes.on('unsubscribed', ({ code }) => this.#unsubscribed(code))
    nodes.on('subscribed', ({ recovered }) => recovered || void this.#readHistory(nodes))
    nodes.subscribe()
    this.#table = client.newSubscription(CONNECTIONS, { data: query })
    this.#table.on('publication', ({ data }) => this.#emit('table', data))
    this.#table.subscribe()
    client.connect()
  }

  /** Ends it. */
  stop() {
    this.#client.disconnect()
  }

  /** Asks all nodes for their connections with another query: this node at once, the others with their next answer. */
  look(query) {
    this.#query = query
    this.#table.setData(query)
    this.#table.unsubscribe()
    this.#table.subscribe()
    return this.ask()
  }

  /** Whether the node at the other end was asked, and has not answered. */
  get asking() {
    return this.#asked > 0
  }

  /** Asks the node at the other end for its state, which it knows without Redis too. */
  async ask() {
    this.#asked++
    try {
      const { data } = await this.#client.rpc('dashboard.snapshot', { query: this.#query })
      this.self = data.snapshot.node
      this.#emit('snapshot', data.snapshot)
      this.#emit('table', data.table)
    } catch (error) {
      if (error.code === DENIED) this.#emit('denied')
      // Otherwise the connection has ended: it asks again on the next connection.
    } finally {
      this.#asked--
    }
  }

  /** Ends a connection, on any node. Rejects with `message`. */
  async disconnect(connection) {
    await this.#client.rpc('dashboard.disconnect', { connection })
  }

  #connected({ client }) {
    this.attempt = 0
    this.connection = client
    this.#tell('connected')
    void this.ask()
  }

  #disconnected({ code, reason }) {
    this.#tell('closed')
    if (code === UNAUTHORIZED || code === INVALID_TOKEN) this.#emit('signed-out')
    else if (code !== 0) this.#emit('closed', { code, reason })
  }

  #failed(type) {
    if (type !== 'transport' && type !== 'connect' && type !== 'connectToken') return
    this.attempt++
    this.#tell(this.status)
  }

  #unsubscribed(code) {
    if (code === DENIED) this.#emit('denied')
  }

  // The nodes' snapshots from before this page came, as long as there were watchers.
  async #readHistory(nodes) {
    try {
      const { publications } = await nodes.history({ limit: HISTORY })
      for (const { data } of publications) this.#emit('snapshot', data)
    } catch (error) {
      // The charts begin with the snapshots from now on.
      console.warn('no history', error)
    }
  }

  #tell(status) {
    this.status = status
    this.#emit('status')
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }
}
