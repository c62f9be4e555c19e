interface ExpiringValue<Value> {
  readonly value: Value
  readonly expiresAt: number
}

/** Groups of members that expire one by one: the clients present in a channel, or the holders of a lease. */
export class MemoryMembers<Value> {
  readonly #groups = new Map<string, Map<string, ExpiringValue<Value>>>()

  /** Number of groups with members. */
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

  /** The members that have not expired, by id. */
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
