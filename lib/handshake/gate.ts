import { randomUUID } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ConnectionSettings } from '../connection/connection.ts'
import { isInjected } from '../dependencies.ts'
import { DrainingError, HandshakeTimeoutError, NotWebSocketRouteError } from '../errors.ts'
import type { Log } from '../input/guarded-log.ts'
import { PROTOBUF_PROTOCOL } from '../protocol/subprotocol.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import type { DismissalMark } from './dismissals.ts'
import { Handshake, handshakeOf } from './handshake.ts'
import { OtherListeners, type UpgradeListener } from './other-listeners.ts'
import { afterAnswers, detachResponse, passAsPlain } from './plain-request.ts'
import { takeOffer, takeUrlTokens } from './redaction.ts'
import type { Refusals } from './refusal.ts'
import { StreamArrival } from './stream-arrival.ts'
import { asksForWebSocket } from './upgrade-request.ts'

/**
 * The owner of a path: a WebSocket route of ours, an HTTP endpoint of the channel protocol, another route in our scope,
 * a route that this package does not know, or no route.
 */
export type PathOwner = 'ours' | 'stream' | 'plain' | 'unknown route' | 'nobody'

export interface UpgradePaths {
  find(request: IncomingMessage, done: (owner: PathOwner) => void): void
  /** True if the request may be for an HTTP endpoint of the channel protocol, whatever its method. */
  isStream(request: IncomingMessage): boolean
}

export interface GateOptions {
  readonly paths: UpgradePaths
  /** The listener of @fastify/websocket, which routes an upgrade through Fastify. */
  readonly listener: UpgradeListener
  /** True if the application registered @fastify/websocket. It may then have its own routes for it. */
  readonly isShared: boolean
  readonly log: Log
  readonly wheel: TimerWheel
  readonly upgradeTimeout: number
  readonly refusals: Refusals
  /** Returns the mark of a handshake that begins. */
  mark(): DismissalMark
  isDraining(): boolean
}

type Emit = (this: Server, event: string | symbol, ...args: unknown[]) => boolean

const UNREACHABLE = 'the route is declared before fastify-realtime is registered, or outside of its scope'

/**
 * Gets every `upgrade` event of the server before all listeners, even those that were added earlier. While the node
 * drains, the gate refuses each upgrade to WebSocket. If an upgrade is for a WebSocket route of ours, the gate removes
 * the credentials before any hook or log serializer sees the request. It also sets a deadline, which applies even if a
 * hook takes longer. Any other upgrade goes to the other listeners.
 */
export class Gate {
  readonly #server: Server
  readonly #options: GateOptions
  readonly #others: OtherListeners
  readonly #emit: Emit
  #closed = false

  constructor(server: Server, options: GateOptions) {
    this.#server = server
    this.#options = options
    this.#others = new OtherListeners(server, options)
    this.#emit = server.emit as Emit
    server.emit = this.#intercept as Server['emit']
  }

  /** Completes the handshake of a stream. Returns the settings of its connection, which `ws` is just setting up. */
  settingsOf(stream: Duplex): ConnectionSettings {
    const handshake = handshakeOf(stream) as Handshake
    handshake.complete()
    this.#options.wheel.delete(handshake.deadline as Timed)
    handshake.deadline = undefined
    detachResponse(stream)
    return handshake.settings as ConnectionSettings
  }

  /**
   * The protocol to answer with: the first of the offered protocols. At the endpoint of the channel protocol, Protobuf
   * comes first. On routes with `{ websocket: true }`, the application's `handleProtocols` may choose another one.
   * @param offered The offered protocols that are not credentials.
   */
  protocolOf(offered: Set<string>, request: IncomingMessage, choose: unknown): string | false {
    const { settings } = handshakeOf(request) as Handshake
    const [first] = [...offered] as [string]
    if (settings?.kind === 'channels' && offered.has(PROTOBUF_PROTOCOL)) return PROTOBUF_PROTOCOL
    if (settings?.kind !== 'raw' || typeof choose !== 'function') return first
    try {
      const chosen: unknown = choose(offered, request)
      return offered.has(chosen as string) && (chosen as string)
    } catch (err) {
      this.#options.log.error({ err }, 'handleProtocols failed')
      return false
    }
  }

  close(): void {
    this.#closed = true
    // If another library has replaced `emit` since, its function may still call ours, which only calls the original.
    if (this.#server.emit === this.#intercept) this.#server.emit = this.#emit as Server['emit']
  }

  readonly #intercept = (event: string | symbol, ...args: unknown[]): boolean => {
    if (!this.#closed) {
      if (event === 'upgrade') {
        const [request, stream, head] = args as Parameters<UpgradeListener>
        this.#onUpgrade(request, stream, head)
        return true
      }
      if (event === 'request') this.#receivePlain(args[0] as IncomingMessage)
    }
    return Reflect.apply(this.#emit, this.#server, [event, ...args])
  }

  /** Watches another server of the application. Its upgrades come to the first server. */
  readonly watch = (server: Server): void => {
    const emit = server.emit as Emit
    server.emit = (event: string | symbol, ...args: unknown[]): boolean => {
      if (event === 'request') this.#receivePlain(args[0] as IncomingMessage)
      return Reflect.apply(emit, server, [event, ...args])
    }
  }

  #receivePlain(request: IncomingMessage): void {
    removeCredentials(request)
    if (this.#options.paths.isStream(request)) new StreamArrival(request, this.#options.mark())
  }

  #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    afterAnswers(stream, () => {
      if (asksForWebSocket(request)) this.#receive(request, stream, head)
      else passAsPlain(this.#server, request, stream, head)
    })
  }

  #receive(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { refusals } = this.#options
    // Node has removed its own error listener, and the next owner of the stream may not have added one yet.
    stream.on('error', destroy)
    if (this.#options.isDraining()) {
      refusals.write(request, stream, new DrainingError())
      return
    }
    try {
      this.#options.paths.find(request, (owner) => {
        if (stream.destroyed) return
        if (owner === 'ours') this.#begin(request, stream, head)
        else this.#passOn(request, stream, head, owner === 'unknown route')
      })
    } catch (err) {
      this.#options.log.error({ err }, 'route of an upgrade not found')
      refusals.write(request, stream, new NotWebSocketRouteError())
    }
  }

  #begin(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const handshake = new Handshake({
      id: randomUUID(),
      stream,
      head,
      begunAt: performance.now(),
      mark: this.#options.mark(),
      offer: takeOffer(request),
      urlTokens: takeUrlTokens(request)
    })
    // ws does not accept a list of protocols in this header.
    request.headers.upgrade = 'websocket'
    handshake.attachTo(request)
    this.#watch(handshake, request, stream)
    stream.off('error', destroy)
    if (isInjected(request)) closeWhenEnded(stream)
    this.#options.listener.call(this.#server, request, stream, handshake.head)
  }

  #watch(handshake: Handshake, request: IncomingMessage, stream: Duplex): void {
    const { wheel, refusals, upgradeTimeout } = this.#options
    handshake.deadline = {
      wheelTick: -1,
      onDue() {
        if (!stream.destroyed) refusals.write(request, stream, new HandshakeTimeoutError())
        return Number.POSITIVE_INFINITY
      }
    }
    wheel.set(handshake.deadline, wheel.now() + upgradeTimeout)
  }

  #passOn(request: IncomingMessage, stream: Duplex, head: Buffer, hasRoute: boolean): void {
    this.#others.offer(request, stream, head, hasRoute, () => {
      const { refusals } = this.#options
      refusals.write(request, stream, new NotWebSocketRouteError(), hasRoute ? UNREACHABLE : undefined)
    })
  }
}

function destroy(this: Duplex): void {
  this.destroy()
}

/**
 * The streams of injectWS() never close by themselves. ws ends its side after both close frames, and the client reads
 * the last one within the same turn of the event loop.
 */
function closeWhenEnded(stream: Duplex): void {
  stream.once('finish', () => setImmediate(() => stream.destroy()))
}

/** A handshake without `Connection: Upgrade` is a plain request. Hooks and logs must not see its credentials. */
function removeCredentials(request: IncomingMessage): void {
  const { headers } = request
  if (headers['sec-websocket-protocol'] === undefined && headers['sec-websocket-key'] === undefined) return
  takeOffer(request)
  takeUrlTokens(request)
}
