import type { Subscription } from './subscription.ts'

// Up to so many subscriptions are kept in a list, and searched one by one. For a few, a map takes three times the
// memory.
const MAX_LISTED = 8

/** The part of the subscriptions that is used outside of their session. */
export interface SubscriptionsView extends Iterable<Subscription> {
  readonly size: number
  get(channel: string): Subscription | undefined
}

/** The subscriptions of one client, by channel. */
export class Subscriptions implements SubscriptionsView {
  // A list is replaced, not changed: an array that grows reserves memory for more elements.
  #all: readonly Subscription[] | Map<string, Subscription> = []

  get size(): number {
    return this.#all instanceof Map ? this.#all.size : this.#all.length
  }

  get(channel: string): Subscription | undefined {
    if (this.#all instanceof Map) return this.#all.get(channel)
    for (const subscription of this.#all) if (subscription.channel === channel) return subscription
    return undefined
  }

  /** Adds a subscription. There must be none to the same channel. */
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
