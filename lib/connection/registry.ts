import type { Connection } from './connection.ts'

/** The connections of this node, by their ids and by their users. */
export class Registry {
  readonly #connections = new Map<string, Connection>()
  /** Most users have one connection. It is stored without a set, which would need more memory than all else here. */
  readonly #users = new Map<string, Connection | Set<Connection>>()
  #whenEmpty: (() => void)[] = []

  get size(): number {
    return this.#connections.size
  }

  add(connection: Connection): void {
    this.#connections.set(connection.id, connection)
    this.identify(connection)
  }

  /** Adds the connection to those of its user, if its user is known. */
  identify(connection: Connection): void {
    const user = connection.user?.sub
    if (user === undefined) return
    const existing = this.#users.get(user)
    if (existing instanceof Set) existing.add(connection)
    else if (existing === undefined) this.#users.set(user, connection)
    else if (existing !== connection) this.#users.set(user, new Set([existing, connection]))
  }

  delete(connection: Connection): void {
    this.#connections.delete(connection.id)
    const user = connection.user?.sub
    if (user !== undefined) this.#deleteFromUser(user, connection)
    if (this.#connections.size > 0) return
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  #deleteFromUser(user: string, connection: Connection): void {
    const existing = this.#users.get(user)
    if (existing instanceof Set) {
      existing.delete(connection)
      if (existing.size > 0) return
    } else if (existing !== connection) return
    this.#users.delete(user)
  }

  get(id: string): Connection | undefined {
    return this.#connections.get(id)
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#connections.values()
  }

  /** The connections of a user, or the connection with an id. With both, the connection must be of that user. */
  find({ user, connection: id }: { user?: string; connection?: string }): Connection[] {
    if (id !== undefined) {
      const connection = this.#connections.get(id)
      return connection !== undefined && (user === undefined || connection.user?.sub === user) ? [connection] : []
    }
    const existing = user === undefined ? undefined : this.#users.get(user)
    if (existing instanceof Set) return [...existing]
    return existing === undefined ? [] : [existing]
  }

  /** Resolves once there is no connection. */
  async empty(): Promise<void> {
    if (this.#connections.size === 0) return
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
  }
}
