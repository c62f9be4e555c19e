// In braces stands what Redis Cluster hashes. A name can't close them, and what it holds instead can be told from what
// stood in it before: a percent sign is always escaped.
const ESCAPED = /[%{}]/g

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

  meta(channel: string): string {
    return `${this.#keys}${escapeName(channel)}}:meta`
  }

  stream(channel: string): string {
    return `${this.#keys}${escapeName(channel)}}:stream`
  }

  /** What was answered to the channel's idempotency keys, and when each is forgotten. */
  idempotency(channel: string): [answers: string, expiries: string] {
    const base = `${this.#keys}${escapeName(channel)}}`
    return [`${base}:once`, `${base}:onces`]
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
