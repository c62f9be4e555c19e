const MAX_RECENT = 1_000
// Redis Cluster hashes the part of a key in braces, so a name must not contain braces. A percent sign is escaped too,
// so that an escaped name never equals another name.
const ESCAPED = /[%{}]/g

/** The names of one channel's keys in Redis, and of its pub/sub channel. All are in one hash slot. */
export interface ChannelKeys {
  /** The pub/sub channel of the channel's messages. */
  readonly topic: string
  readonly meta: string
  readonly stream: string
  /** The answers to the channel's idempotency keys. */
  readonly answers: string
  /** The expiry of each idempotency key. */
  readonly expiries: string
}

/**
 * Makes the names of all keys and pub/sub channels in Redis. In this folder, a pub/sub channel is called a topic, so
 * that it is not confused with a channel of the application.
 *
 * `<prefix>:{<name>}` is a channel's topic, `<prefix>:{<name>}:<kind>` is one of its keys: all are in one hash slot.
 * Names are escaped, so no name can reach the keys of another one. Redis has the same topics for all databases, so the
 * name of a topic contains the number of the database, unless it is 0.
 */
export class RedisKeys {
  readonly #keyPrefix: string
  readonly #topicPrefix: string
  readonly #recent = new Map<string, ChannelKeys>()

  constructor(prefix: string, database = 0) {
    this.#keyPrefix = `${prefix}:{`
    this.#topicPrefix = database === 0 ? this.#keyPrefix : `${prefix}:@${database}:{`
  }

  /** The pub/sub channel of a channel's messages. */
  topic(channel: string): string {
    return `${this.#topicPrefix}${escapeName(channel)}}`
  }

  /** The topic of one node's probes, in the hash slot of `tag`. */
  probe(node: string, tag: string): string {
    return `${this.#topicPrefix.slice(0, -1)}probe:${node}:{${tag}}`
  }

  /** The key of one node's probes, in the hash slot of `tag`. */
  probeKey(node: string, tag: string): string {
    return `${this.#keyPrefix.slice(0, -1)}probe:${node}:{${tag}}`
  }

  /** The first part of the names of keys that are used to check permissions. */
  check(name: string): string {
    return `${this.#keyPrefix}${escapeName(name)}}`
  }

  /** The names that the scripts for positions and history use. They are cached, so that a name is escaped once. */
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
    const base = `${this.#keyPrefix}${name}}`
    return {
      topic: `${this.#topicPrefix}${name}}`,
      meta: `${base}:meta`,
      stream: `${base}:stream`,
      answers: `${base}:once`,
      expiries: `${base}:onces`
    }
  }

  presence(channel: string): [expiries: string, users: string, infos: string] {
    const base = `${this.#keyPrefix}${escapeName(channel)}}`
    return [`${base}:presence`, `${base}:users`, `${base}:infos`]
  }

  lease(key: string): string {
    return `${this.#keyPrefix}${escapeName(key)}}:lease`
  }

  tokens(key: string): string {
    return `${this.#keyPrefix}${escapeName(key)}}:tokens`
  }
}

function escapeName(name: string): string {
  return name.replace(ESCAPED, encodeURIComponent)
}
