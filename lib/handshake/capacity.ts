import type { Duplex } from 'node:stream'

export interface CapacityLimits {
  readonly total: number
  readonly perAddress: number
}

/**
 * The slots of this process: in total and per remote address. A slot is taken on the raw stream and given back on its
 * `close`: where `ws` refuses after the hooks, or the peer resets, no Fastify hook runs.
 */
export class Capacity {
  readonly #limits: CapacityLimits
  readonly #addresses = new Map<string, number>()
  #total = 0

  constructor(limits: CapacityLimits) {
    this.#limits = limits
  }

  /** Takes a slot; false where none is free. */
  take(stream: Duplex, address: string | undefined): boolean {
    const ofAddress = (address !== undefined && this.#addresses.get(address)) || 0
    if (this.#total >= this.#limits.total || ofAddress >= this.#limits.perAddress) return false
    this.#total++
    if (address !== undefined) this.#addresses.set(address, ofAddress + 1)
    stream.once('close', () => this.#release(address))
    return true
  }

  #release(address: string | undefined): void {
    this.#total--
    if (address === undefined) return
    const left = (this.#addresses.get(address) as number) - 1
    if (left === 0) this.#addresses.delete(address)
    else this.#addresses.set(address, left)
  }
}
