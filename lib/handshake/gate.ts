import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyError } from 'fastify'
import type { ConnectionSettings } from '../connection/connection.ts'
import { isInjected } from '../dependencies.ts'
import { DrainingError, HandshakeTimeoutError, NotWebSocketRouteError } from '../errors.ts'
import type { Log } from '../input/guarded-log.ts'
import type { SubprotocolOffer } from '../protocol/subprotocol.ts'
import type { DismissalMark } from './dismissals.ts'
import { OtherListeners, type UpgradeListener } from './other-listeners.ts'
import { afterAnswers, detachResponse, passAsPlain } from './plain-request.ts'
import { takeOffer, takeUrlTokens, type UrlToken } from './redaction.ts'
import { asksForWebSocket } from './upgrade-request.ts'

/** One request for an upgrade, from its arrival to the 101. */
export interface Handshake {
  /** The connection's id, unique over all nodes. */
  readonly id: string
  readonly stream: Duplex
  head: Buffer
  /** When it came in, by the clock of `performance`. */
  readonly begunAt: number
  offer: SubprotocolOffer
  /** Tokens that stood in the URL, from which they are taken out, each with the name of its parameter. */
  urlTokens: readonly UrlToken[]
  /** Taken before any hook runs: a session that a hook loads may be ended before it is verified. */
  readonly mark: DismissalMark
  /** Set once the connection is admitted. */
  settings?: ConnectionSettings
  /** The 101 is written; the deadline is off. */
  upgraded: boolean
}

/**
 * Whose a path is: a WebSocket route's of ours, another route's in our scope, a route's that this package does not know,
 * or nobody's.
 */
export type PathOwner = 'ours' | 'plain' | 'unknown route' | 'nobody'

export interface UpgradePaths {
  find(request: IncomingMessage, done: (owner: PathOwner) => void): void
}

export interface GateOptions {
  readonly paths: UpgradePaths
  /** @fastify/websocket's listener, which takes an upgrade through Fastify. */
  readonly listener: UpgradeListener
  /** True if the application registered it, and may have routes of its own on it. */
  readonly isShared: boolean
  readonly log: Log
  readonly upgradeTimeout: number
  /** What to remember when a handshake begins. */
  mark(): DismissalMark
  isDraining(): boolean
  /** Seconds, for Retry-After. */
  retryAfter(): number
  refused(error: FastifyError, request: IncomingMessage): void
}

type Emit = (this: Server, event: string | symbol, ...args: unknown[]) => boolean

// For a handshake without bytes behind it: Node's own is a view of all that was read, and would keep it.
const NO_BYTES = Buffer.alloc(0)
const NO_OFFER: SubprotocolOffer = { protocols: [], offered: false }
const NO_TOKENS: readonly UrlToken[] = []
const UNREACHABLE = 'the route is declared before fastify-realtime is registered, or outside of its scope'

/**
 * Stands before all listeners of the server's `upgrade` event, whenever they were added. An upgrade for a WebSocket route
 * of ours has its credentials taken out before any hook or log serializer sees the request, is refused plainly while the
 * node drains, and has a deadline that no hook can outlast. Any other goes to the other listeners.
 */
export class Gate {
  readonly #server: Server
  readonly #options: GateOptions
  readonly #others: OtherListeners
  readonly #emit: Emit
  readonly #handshakes = new WeakMap<IncomingMessage, Handshake>()
  readonly #byStream = new WeakMap<Duplex, Handshake>()
  readonly #deadlines = new WeakMap<Handshake, NodeJS.Timeout>()
  #closed = false

  constructor(server: Server, options: GateOptions) {
    this.#server = server
    this.#options = options
    this.#others = new OtherListeners(server, options)
    this.#emit = server.emit as Emit
    server.emit = this.#intercept as Server['emit']
  }

  handshakeOf(request: IncomingMessage): Handshake | undefined {
    return this.#handshakes.get(request)
  }

  /**
   * What was settled for the connection that `ws` is just setting up on that stream. The connection keeps nothing of its
   * handshake from here on: neither the token, nor the request, nor the bytes that they came in.
   */
  settingsOf(stream: Duplex): ConnectionSettings {
    const handshake = this.#byStream.get(stream) as Handshake
    handshake.upgraded = true
    handshake.offer = NO_OFFER
    handshake.urlTokens = NO_TOKENS
    handshake.head = NO_BYTES
    clearTimeout(this.#deadlines.get(handshake))
    this.#deadlines.delete(handshake)
    detachResponse(stream)
    return handshake.settings as ConnectionSettings
  }

  /**
   * The protocol to answer with: the first of those that were offered and are no credentials, or what the application's
   * own `handleProtocols` chooses of them. That is for routes with `{ websocket: true }` only.
   */
  protocolOf(offered: Set<string>, request: IncomingMessage, choose: unknown): string | false {
    const { settings } = this.#handshakes.get(request) as Handshake
    const [first] = [...offered] as [string]
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
    // If it was replaced once more meanwhile, that replacement may call ours, which then does nothing of its own.
    if (this.#server.emit === this.#intercept) this.#server.emit = this.#emit as Server['emit']
  }

  readonly #intercept = (event: string | symbol, ...args: unknown[]): boolean => {
    if (!this.#closed) {
      if (event === 'upgrade') {
        const [request, stream, head] = args as Parameters<UpgradeListener>
        this.#onUpgrade(request, stream, head)
        return true
      }
      if (event === 'request') takeStrayCredentials(args[0] as IncomingMessage)
    }
    return Reflect.apply(this.#emit, this.#server, [event, ...args])
  }

  #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    afterAnswers(stream, () => {
      if (asksForWebSocket(request)) this.#receive(request, stream, head)
      else passAsPlain(this.#server, request, stream, head)
    })
  }

  #receive(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    // Node has taken its own listener off, and whoever is next may not have one yet.
    stream.on('error', destroy)
    if (this.#options.isDraining()) {
      this.#refuse(request, stream, new DrainingError())
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
      this.#refuse(request, stream, new NotWebSocketRouteError())
    }
  }

  #begin(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const handshake: Handshake = {
      id: randomUUID(),
      stream,
      head: head.length === 0 ? NO_BYTES : head,
      begunAt: performance.now(),
      mark: this.#options.mark(),
      offer: takeOffer(request),
      urlTokens: takeUrlTokens(request),
      upgraded: false
    }
    // ws takes no list.
    request.headers.upgrade = 'websocket'
    this.#handshakes.set(request, handshake)
    this.#byStream.set(stream, handshake)
    this.#watch(handshake, request)
    stream.off('error', destroy)
    if (isInjected(request)) closeWhenEnded(stream)
    this.#options.listener.call(this.#server, request, stream, handshake.head)
  }

  #watch(handshake: Handshake, request: IncomingMessage): void {
    const timer = setTimeout(() => {
      if (!handshake.upgraded && !handshake.stream.destroyed) {
        this.#refuse(request, handshake.stream, new HandshakeTimeoutError())
      }
    }, this.#options.upgradeTimeout)
    this.#deadlines.set(handshake, timer.unref())
  }

  #passOn(request: IncomingMessage, stream: Duplex, head: Buffer, hasRoute: boolean): void {
    this.#others.offer(request, stream, head, hasRoute, () => {
      this.#refuse(request, stream, new NotWebSocketRouteError(), hasRoute ? UNREACHABLE : undefined)
    })
  }

  /** Writes a refusal past Fastify, whose own 503 during a close leaves the socket open, and the close waiting. */
  #refuse(request: IncomingMessage, stream: Duplex, error: FastifyError, reason = error.message): void {
    this.#options.refused(error, request)
    const statusCode = error.statusCode as number
    const { code, message } = error
    this.#options.log.info({ code, reason }, 'handshake refused')
    const body = JSON.stringify({ statusCode, code, error: STATUS_CODES[statusCode], message })
    const retryAfter = statusCode === 503 ? `Retry-After: ${this.#options.retryAfter()}\r\n` : ''
    stream.once('finish', destroy)
    stream.end(
      `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}\r\n` +
        'Connection: close\r\nContent-Type: application/json; charset=utf-8\r\n' +
        `Content-Length: ${Buffer.byteLength(body)}\r\n${retryAfter}\r\n${body}`
    )
  }
}

function destroy(this: Duplex): void {
  this.destroy()
}

/**
 * The streams of injectWS() never close by themselves. ws ends its side once both close frames are through, and the
 * client reads the last one within this turn.
 */
function closeWhenEnded(stream: Duplex): void {
  stream.once('finish', () => setImmediate(() => stream.destroy()))
}

/** A handshake without `Connection: Upgrade` is a plain request, which hooks see, and logs. */
function takeStrayCredentials(request: IncomingMessage): void {
  const { headers } = request
  if (headers['sec-websocket-protocol'] === undefined && headers['sec-websocket-key'] === undefined) return
  takeOffer(request)
  takeUrlTokens(request)
}
