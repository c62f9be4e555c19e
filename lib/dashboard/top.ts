import { setImmediate as nextTurn } from 'node:timers/promises'

// A walk over more items lets other work run after each slice. A slice takes about a millisecond.
const SLICE = 1_000

/** Keeps the first of many items in an order, without sorting all. */
export class Top<Item> {
  readonly #size: number
  readonly #compare: (a: Item, b: Item) => number
  readonly #items: Item[] = []

  constructor(size: number, compare: (a: Item, b: Item) => number) {
    this.#size = size
    this.#compare = compare
  }

  add(item: Item): void {
    const items = this.#items
    if (items.length === this.#size && this.#compare(item, items.at(-1) as Item) >= 0) return
    let [low, high] = [0, items.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(item, items[middle] as Item) < 0) high = middle
      else low = middle + 1
    }
    items.splice(low, 0, item)
    if (items.length > this.#size) items.pop()
  }

  get items(): readonly Item[] {
    return this.#items
  }
}

/** Visits all items. With many of them, other work runs in between. */
export async function visitAll<Item>(items: Iterable<Item>, visit: (item: Item) => void): Promise<void> {
  let visited = 0
  for (const item of items) {
    visit(item)
    if (++visited % SLICE === 0) await nextTurn()
  }
}
