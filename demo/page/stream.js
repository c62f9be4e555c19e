const PAGE = 1_000
const RETRY_AFTER = 500

/**
 * One channel with history, from its beginning on: every publication in order and once, through all reconnects.
 *
 * Events, some with `detail`:
 * - `publication`: `data`, and `client` if a client published it
 * - `subscribed`: missed publications follow
 * - `reset`: earlier publications are stale, and all come again
 * - `ready`: all publications so far have arrived; `how`: `new`, `recovered` or `reloaded`
 * - `join` and `leave`: `client` and `user`
 * - `ended`: `code` and `reason`; the server ended it
 */
export class Stream extends EventTarget {
  #client
  #subscription
  /** Its state is not reliable until it has been read again. */
  #isStale = false
  #isNew = true
  /** Publications that arrive while the history is being read. @type {object[] | undefined} */
  #held
  /** The offset up to which history was read. It may be ahead of publications that are still to be pushed. */
  #readUpTo = 0
  /** Increases whenever another subscribe, or the end, overtakes a read. */
  #readings = 0

  /** @param {import('centrifuge').Centrifuge} client @param {string} channel */
  constructor(client, channel) {
    super()
    this.#client = client
    // Before the first publication everything was missed: the server recovers all that exists.
    this.#subscription = client.newSubscription(channel, {
      since: { offset: 0, epoch: '' },
      recoverable: true,
      joinLeave: true
    })
    this.#subscription.on('subscribed', (context) => this.#subscribed(context))
    this.#subscription.on('subscribing', () => this.#readings++)
    this.#subscription.on('publication', (publication) => this.#received(publication))
    this.#subscription.on('join', ({ info }) => this.#emit('join', info))
    this.#subscription.on('leave', ({ info }) => this.#emit('leave', info))
    this.#subscription.on('unsubscribed', ({ code, reason }) => {
      if (code !== 0) this.#emit('ended', { code, reason })
    })
    this.#subscription.subscribe()
  }

  /** The clients on the channel. @returns {Promise<{ client: string, user: string }[]>} */
  async presence() {
    const { clients } = await this.#subscription.presence()
    return Object.values(clients)
  }

  close() {
    this.#readings++
    this.#subscription.unsubscribe()
    this.#client.removeSubscription(this.#subscription)
  }

  #subscribed({ recovered }) {
    if (!recovered) this.#isStale = true
    if (this.#isStale) {
      void this.#read(++this.#readings)
      return
    }
    this.#emit('subscribed')
    // Missed publications come before this turn is over.
    queueMicrotask(() => this.#ready('recovered'))
  }

  #received(publication) {
    if (this.#held !== undefined) this.#held.push(publication)
    else if (publication.offset > this.#readUpTo) this.#deliver(publication)
  }

  #deliver({ data, info }) {
    this.#emit('publication', { data, client: info?.client })
  }

  #ready(how) {
    this.#emit('ready', { how: this.#isNew ? 'new' : how })
    this.#isNew = false
  }

  /** Reads the whole history, and then the publications that came meanwhile. */
  async #read(reading) {
    this.#held = []
    try {
      const publications = await this.#history()
      if (reading !== this.#readings) return
      const held = this.#held
      this.#held = undefined
      this.#isStale = false
      this.#readUpTo = publications.at(-1)?.offset ?? 0
      this.#emit('reset')
      for (const publication of publications) this.#deliver(publication)
      for (const publication of held) this.#received(publication)
      this.#ready('reloaded')
    } catch {
      // Without a connection the next subscribe reads again; with one the server may be able to later.
      setTimeout(() => {
        if (reading === this.#readings) void this.#read(reading)
      }, RETRY_AFTER)
    }
  }

  async #history() {
    const publications = []
    let since
    for (;;) {
      const page = await this.#subscription.history({ limit: PAGE, since })
      publications.push(...page.publications)
      const last = page.publications.at(-1)
      if (last === undefined || last.offset >= page.offset) return publications
      since = { offset: last.offset, epoch: page.epoch }
    }
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }
}
