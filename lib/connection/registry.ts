import type { Connection } from './connection.ts'

/** The connections of this node, and which are whose. */
export class Registry {
  readonly #sockets = new Map<string, Connection>()
  /** Most users have one connection, for which a set would be larger than all else here. */
  readonly #users = new Map<string, Connection | Set<Connection>>()
  #whenEmpty: (() => void)[] = []

  get size(): number {
    return this.#sockets.size
  }

  add(socket: Connection): void {
    this.#sockets.set(socket.id, socket)
    this.identify(socket)
  }

  /** Notes whose the connection is, if that is known. */
  identify(socket: Connection): void {
    const user = socket.user?.sub
    if (user === undefined) return
    const theirs = this.#users.get(user)
    if (theirs instanceof Set) theirs.add(socket)
    else if (theirs === undefined) this.#users.set(user, socket)
    else if (theirs !== socket) this.#users.set(user, new Set([theirs, socket]))
  }

  delete(socket: Connection): void {
    this.#sockets.delete(socket.id)
    const user = socket.user?.sub
    if (user !== undefined) this.#forget(user, socket)
    if (this.#sockets.size > 0) return
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  #forget(user: string, socket: Connection): void {
    const theirs = this.#users.get(user)
    if (theirs instanceof Set) {
      theirs.delete(socket)
      if (theirs.size > 0) return
    } else if (theirs !== socket) return
    this.#users.delete(user)
  }

  get(connection: string): Connection | undefined {
    return this.#sockets.get(connection)
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#sockets.values()
  }

  /** The connections of a user, or the one with an id. */
  find({ user, connection }: { user?: string; connection?: string }): Connection[] {
    if (connection !== undefined) {
      const socket = this.#sockets.get(connection)
      return socket !== undefined && (user === undefined || socket.user?.sub === user) ? [socket] : []
    }
    const theirs = user === undefined ? undefined : this.#users.get(user)
    if (theirs instanceof Set) return [...theirs]
    return theirs === undefined ? [] : [theirs]
  }

  /** Resolves once there is no connection. */
  async empty(): Promise<void> {
    if (this.#sockets.size === 0) return
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
  }
}
