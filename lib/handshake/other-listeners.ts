import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { isThroughFastify } from '../dependencies.ts'
import type { Log } from '../input/guarded-log.ts'
import { isAnswered } from './plain-request.ts'

export type UpgradeListener = (request: IncomingMessage, stream: Duplex, head: Buffer) => void

export interface OtherListenersOptions {
  /** The listener of @fastify/websocket that handles our own upgrades. */
  readonly listener: UpgradeListener
  /** True if the application registered @fastify/websocket. It may then have its own routes for it. */
  readonly isShared: boolean
  readonly log: Log
  readonly upgradeTimeout: number
}

/**
 * Listeners of other libraries for the server's `upgrade` event. Most listeners know their own paths, and ignore all
 * others. But another registration of @fastify/websocket routes every upgrade through Fastify, which always answers. So
 * its listener is called last, and only if Fastify has a route for the path.
 */
export class OtherListeners {
  readonly #server: Server
  readonly #options: OtherListenersOptions

  constructor(server: Server, options: OtherListenersOptions) {
    this.#server = server
    this.#options = options
  }

  /** Offers an upgrade to the listeners. Calls `none` if there are none, or if none has written within the timeout. */
  offer(request: IncomingMessage, stream: Duplex, head: Buffer, hasRoute: boolean, none: () => void): void {
    const { listener: own, isShared } = this.#options
    const all = this.#server.listeners('upgrade') as UpgradeListener[]
    const usesFastify = (one: UpgradeListener) => one === own || isThroughFastify(one)
    const last = all.filter((one) => usesFastify(one) && (one !== own || isShared))
    const listeners = [...all.filter((one) => !usesFastify(one)), ...(hasRoute ? last : [])]
    if (listeners.length === 0) {
      none()
      return
    }
    const { bytesWritten } = stream as Duplex & { bytesWritten?: number }
    const isTaken = () =>
      stream.destroyed || stream.writableEnded || (stream as { bytesWritten?: number }).bytesWritten !== bytesWritten
    for (const listener of listeners) {
      if (usesFastify(listener) && (isTaken() || isAnswered(stream))) break
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
