import type { Subscription } from './subscription.ts'

// So many at most are in a list, which is searched from its beginning: a map takes three times the memory of a short one.
const MAX_LISTED = 8

/** What others than their session need of them. */
export interface SubscriptionsView extends Iterable<Subscription> {
  readonly size: number
  get(channel: string): Subscription | undefined
}

/** The subscriptions of one client, by channel. */
export class Subscriptions implements SubscriptionsView {
  // A list is replaced, not changed: arrays that grow take room for more.
  #all: readonly Subscription[] | Map<string, Subscription> = []

  get size(): number {
    return this.#all instanceof Map ? this.#all.size : this.#all.length
  }

  get(channel: string): Subscription | undefined {
    if (this.#all instanceof Map) return this.#all.get(channel)
    for (const subscription of this.#all) if (subscription.channel === channel) return subscription
    return undefined
  }

  /** Adds one to a channel that has none. */
  add(subscription: Subscription): void {
    if (this.#all instanceof Map) this.#all.set(subscription.channel, subscription)
    else if (this.#all.length < MAX_LISTED) this.#all = this.#all.concat(subscription)
    else this.#all = new Map([...this.#all, subscription].map((one) => [one.channel, one]))
  }

  delete(subscription: Subscription): void {
    if (this.#all instanceof Map) this.#all.delete(subscription.channel)
    else this.#all = this.#all.filter((one) => one !== subscription)
  }

  [Symbol.iterator](): IterableIterator<Subscription> {
    return this.#all.values()
  }
}
