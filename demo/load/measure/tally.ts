/** Counts by name. */
export class Tally<Key extends string | number = string | number> {
  readonly #counts = new Map<Key, number>()

  add(key: Key, count = 1): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count)
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
  }

  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#counts)
  }
}
