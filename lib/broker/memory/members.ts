interface ExpiringValue<Value> {
  readonly value: Value
  readonly expiresAt: number
}

/** Groups of members, each of which leaves when its time is over: who is present in a channel, who holds a lease. */
export class MemoryMembers<Value> {
  readonly #groups = new Map<string, Map<string, ExpiringValue<Value>>>()

  /** How many groups have members. */
  get size(): number {
    return this.#groups.size
  }

  set(group: string, id: string, value: Value, expiresAt: number): void {
    let members = this.#groups.get(group)
    if (!members) {
      members = new Map()
      this.#groups.set(group, members)
    }
    members.set(id, { value, expiresAt })
  }

  delete(group: string, id: string): void {
    const members = this.#groups.get(group)
    if (members?.delete(id) && members.size === 0) this.#groups.delete(group)
  }

  /** The members whose time is not over, by id. */
  list(group: string, now: number): Map<string, Value> {
    const live = new Map<string, Value>()
    for (const [id, { value, expiresAt }] of this.#groups.get(group) ?? []) if (expiresAt > now) live.set(id, value)
    return live
  }

  sweep(now: number): void {
    for (const [group, members] of this.#groups) {
      for (const [id, { expiresAt }] of members) if (expiresAt <= now) members.delete(id)
      if (members.size === 0) this.#groups.delete(group)
    }
  }
}
