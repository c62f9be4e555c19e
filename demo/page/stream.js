const PAGE = 1_000
const RETRY_AFTER = 500

/**
 * One channel with history, from its beginning on: every publication in order and once, through all reconnects.
 *
 * Events, some with `detail`:
 * - `publication`: `data`, and `client` where one published it
 * - `subscribed`: what was missed comes now
 * - `reset`: what came is stale, and everything comes again
 * - `ready`: all that there is has come; `how` it did: `new`, `recovered` or `reloaded`
 * - `join` and `leave`: `client` and `user`
 * - `ended`: `code` and `reason`; the server wants it so
 */
export class Stream extends EventTarget {
  #client
  #subscription
  /** Its state can't be relied on until it has been read anew. */
  #isStale = false
  #isNew = true
  /** Publications that came while it is being read. @type {object[] | undefined} */
  #held
  /** What was read goes up to here, and may be ahead of what is still to be pushed. */
  #readUpTo = 0
  /** Goes up whenever a reading is overtaken by another subscribe, or by the end. */
  #readings = 0

  /** @param {import('centrifuge').Centrifuge} client @param {string} channel */
  constructor(client, channel) {
    super()
    this.#client = client
    // Who has seen nothing yet has missed everything: the server recovers all there is.
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

  /** Who is on the channel. @returns {Promise<{ client: string, user: string }[]>} */
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
    // What was missed comes before this turn is over.
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

  /** Reads all that is kept, and then what came meanwhile. */
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
      // Without a connection the next subscribe reads anew; with one the server may be able to later.
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
