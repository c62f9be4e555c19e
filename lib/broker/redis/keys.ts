// In braces stands what Redis Cluster hashes. A name can't close them, and what it holds instead can be told from what
// stood in it before: a percent sign is always escaped.
const MAX_RECENT = 1_000
const ESCAPED = /[%{}]/g

/** The names of one channel in Redis, all in one hash slot. */
export interface ChannelKeys {
  /** The pub/sub channel that carries the channel's messages. */
  readonly topic: string
  readonly meta: string
  readonly stream: string
  /** What was answered to the channel's idempotency keys. */
  readonly answers: string
  /** When each idempotency key is forgotten. */
  readonly expiries: string
}

/**
 * The name of every key and pub/sub channel in Redis, from one place.
 *
 * `<prefix>:{<name>}` is a channel's pub/sub channel, `<prefix>:{<name>}:<kind>` one of its keys: all in one hash
 * slot. Names are escaped so that none reaches another's keys, whatever it holds. Pub/sub knows no databases, so
 * another database than 0 stands in the pub/sub channel's name.
 */
export class RedisKeys {
  readonly #keys: string
  readonly #wire: string
  readonly #recent = new Map<string, ChannelKeys>()

  constructor(prefix: string, database = 0) {
    this.#keys = `${prefix}:{`
    this.#wire = database === 0 ? this.#keys : `${prefix}:@${database}:{`
  }

  /** The pub/sub channel that carries a channel's publications. */
  wire(channel: string): string {
    return `${this.#wire}${escapeName(channel)}}`
  }

  /** A pub/sub channel of one node's own; with `tag`, in that tag's hash slot. */
  probe(node: string, tag: string): string {
    return `${this.#wire.slice(0, -1)}probe:${node}:{${tag}}`
  }

  /** A key of one node's own, likewise. */
  probeKey(node: string, tag: string): string {
    return `${this.#keys.slice(0, -1)}probe:${node}:{${tag}}`
  }

  /** What names of keys to try permissions with begin with. */
  check(name: string): string {
    return `${this.#keys}${escapeName(name)}}`
  }

  /** What the scripts of a channel's position and history use. The name is escaped once. */
  channel(channel: string): ChannelKeys {
    let keys = this.#recent.get(channel)
    if (keys === undefined) {
      if (this.#recent.size === MAX_RECENT) this.#recent.clear()
      keys = this.#make(channel)
      this.#recent.set(channel, keys)
    }
    return keys
  }

  #make(channel: string): ChannelKeys {
    const name = escapeName(channel)
    const base = `${this.#keys}${name}}`
    return {
      topic: `${this.#wire}${name}}`,
      meta: `${base}:meta`,
      stream: `${base}:stream`,
      answers: `${base}:once`,
      expiries: `${base}:onces`
    }
  }

  presence(channel: string): [expiries: string, users: string, infos: string] {
    const base = `${this.#keys}${escapeName(channel)}}`
    return [`${base}:presence`, `${base}:users`, `${base}:infos`]
  }

  lease(key: string): string {
    return `${this.#keys}${escapeName(key)}}:lease`
  }

  tokens(key: string): string {
    return `${this.#keys}${escapeName(key)}}:tokens`
  }
}

function escapeName(name: string): string {
  return name.replace(ESCAPED, encodeURIComponent)
}
