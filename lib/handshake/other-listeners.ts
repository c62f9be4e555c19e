import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { isThroughFastify } from '../dependencies.ts'
import type { Log } from '../input/guarded-log.ts'
import { isAnswered } from './plain-request.ts'

export type UpgradeListener = (request: IncomingMessage, stream: Duplex, head: Buffer) => void

export interface OtherListenersOptions {
  /** The listener of @fastify/websocket that takes our own upgrades. */
  readonly listener: UpgradeListener
  /** True if the application registered it, and may have routes of its own on it. */
  readonly isShared: boolean
  readonly log: Log
  readonly upgradeTimeout: number
}

/**
 * Listeners of other libraries for the server's `upgrade` event. Each knows its own paths and leaves the others alone,
 * but for other registrations of @fastify/websocket: they put every upgrade through Fastify, which answers it whatever
 * it is. So those come last, and only if Fastify has a route there.
 */
export class OtherListeners {
  readonly #server: Server
  readonly #options: OtherListenersOptions

  constructor(server: Server, options: OtherListenersOptions) {
    this.#server = server
    this.#options = options
  }

  /** Offers them an upgrade. Calls `none` if there is nobody to take it, or nobody has written within the timeout. */
  offer(request: IncomingMessage, stream: Duplex, head: Buffer, hasRoute: boolean, none: () => void): void {
    const { listener: own, isShared } = this.#options
    const all = this.#server.listeners('upgrade') as UpgradeListener[]
    const isThrough = (one: UpgradeListener) => one === own || isThroughFastify(one)
    const through = all.filter((one) => isThrough(one) && (one !== own || isShared))
    const listeners = [...all.filter((one) => !isThrough(one)), ...(hasRoute ? through : [])]
    if (listeners.length === 0) {
      none()
      return
    }
    const { bytesWritten } = stream as Duplex & { bytesWritten?: number }
    const isTaken = () =>
      stream.destroyed || stream.writableEnded || (stream as { bytesWritten?: number }).bytesWritten !== bytesWritten
    for (const listener of listeners) {
      if (isThrough(listener) && (isTaken() || isAnswered(stream))) break
      this.#call(listener, request, stream, head)
    }
    if (isTaken()) return
    const timer = setTimeout(() => {
      if (!isTaken()) none()
    }, this.#options.upgradeTimeout).unref()
    stream.once('close', () => clearTimeout(timer))
  }

  #call(listener: UpgradeListener, request: IncomingMessage, stream: Duplex, head: Buffer): void {
    try {
      listener.call(this.#server, request, stream, head)
    } catch (err) {
      this.#options.log.error({ err }, 'upgrade listener failed')
      stream.destroy()
    }
  }
}
