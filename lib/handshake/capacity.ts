import type { Duplex } from 'node:stream'
import { addressKey } from './address.ts'

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

  /** Takes a slot; the name of the limit if none is free. Who asks is looked at only if addresses are counted. */
  take(stream: Duplex, request: { readonly ip: string | undefined }): keyof CapacityLimits | undefined {
    if (this.#total >= this.#limits.total) return 'total'
    const { perAddress } = this.#limits
    const ip = perAddress === Number.POSITIVE_INFINITY ? undefined : request.ip
    const address = ip === undefined ? undefined : addressKey(ip)
    const ofAddress = (address !== undefined && this.#addresses.get(address)) || 0
    if (ofAddress >= perAddress) return 'perAddress'
    this.#total++
    if (address !== undefined) this.#addresses.set(address, ofAddress + 1)
    stream.once('close', () => this.#release(address))
    return undefined
  }

  #release(address: string | undefined): void {
    this.#total--
    if (address === undefined) return
    const left = (this.#addresses.get(address) as number) - 1
    if (left === 0) this.#addresses.delete(address)
    else this.#addresses.set(address, left)
  }
}
