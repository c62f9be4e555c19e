import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import type { FastifyError } from 'fastify'
import { DrainingError, HandshakeTimeoutError } from '../errors.ts'
import { parseOffer, type SubprotocolOffer } from '../protocol/subprotocol.ts'
import type { SocketSettings } from '../socket/context.ts'
import type { Mark } from './dismissals.ts'

/** One request for an upgrade, from its arrival to the 101. */
export interface Handshake {
  /** The connection's id, unique over all nodes. */
  readonly id: string
  readonly stream: Duplex
  readonly head: Buffer
  /** When it came in, by the clock of `performance`. */
  readonly begunAt: number
  readonly offer: SubprotocolOffer
  /** Tokens that stood in the URL, from which they are taken out, each with the name of its parameter. */
  readonly urlTokens: readonly UrlToken[]
  /** When its credentials began to be verified. */
  mark?: Mark
  /** Set once the connection is admitted. */
  settings?: SocketSettings
  /** The 101 is written; the deadline is off. */
  upgraded: boolean
}

export interface UrlToken {
  readonly name: string
  readonly value: string
}

export interface GateOptions {
  readonly upgradeTimeout: number
  isDraining(): boolean
  /** Seconds, for Retry-After. */
  retryAfter(): number
  refused(error: FastifyError, request: IncomingMessage): void
}

type UpgradeListener = (request: IncomingMessage, stream: Duplex, head: Buffer) => void

const PROTOCOL_HEADER = 'sec-websocket-protocol'
const URL_TOKEN_NAME = 'access_token'
// A compact JWS header is a JSON object, so it starts with {" in base64url.
const JWT = /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/
// Headers, and names of headers in Connection, that ask for an upgrade (HTTP2-Settings: RFC 7540 section 3.2.1).
const UPGRADE_OPTIONS = new Set(['upgrade', 'http2-settings'])
/** What stands in the URL in place of a token. */
export const REDACTED = 'redacted'

/**
 * Stands before every other listener of the server's `upgrade` event: what comes in here has its credentials taken
 * out before any hook or log serializer sees the request, is refused plainly while the node drains, and has a
 * deadline that no hook can outlast.
 */
export class Gate {
  readonly #server: Server
  readonly #options: GateOptions
  readonly #handshakes = new WeakMap<IncomingMessage, Handshake>()
  readonly #byStream = new WeakMap<Duplex, Handshake>()
  readonly #listeners: readonly UpgradeListener[]

  constructor(server: Server, options: GateOptions) {
    this.#server = server
    this.#options = options
    this.#listeners = server.listeners('upgrade') as UpgradeListener[]
    server.removeAllListeners('upgrade')
    server.on('upgrade', this.#onUpgrade)
  }

  handshakeOf(request: IncomingMessage): Handshake | undefined {
    return this.#handshakes.get(request)
  }

  /** What was settled for the connection that `ws` is just setting up on that stream. */
  settingsOf(stream: Duplex): SocketSettings {
    const handshake = this.#byStream.get(stream) as Handshake
    handshake.upgraded = true
    return handshake.settings as SocketSettings
  }

  /** The one protocol to answer with: the first that was offered and is no credential. Asked where one was offered. */
  protocolOf(request: IncomingMessage): string {
    return (this.#handshakes.get(request) as Handshake).offer.protocols[0] as string
  }

  close(): void {
    this.#server.removeListener('upgrade', this.#onUpgrade)
  }

  readonly #onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      this.#passAsHttp(request, stream, head)
      return
    }
    const handshake: Handshake = {
      id: randomUUID(),
      stream,
      head,
      begunAt: performance.now(),
      offer: takeOffer(request),
      urlTokens: takeUrlTokens(request),
      upgraded: false
    }
    if (this.#options.isDraining()) {
      stream.on('error', () => stream.destroy())
      this.#refuse(handshake, request, new DrainingError())
      return
    }
    this.#handshakes.set(request, handshake)
    this.#byStream.set(stream, handshake)
    this.#watch(handshake, request)
    for (const listener of this.#listeners) listener.call(this.#server, request, stream, head)
  }

  #watch(handshake: Handshake, request: IncomingMessage): void {
    const timer = setTimeout(() => {
      if (!handshake.upgraded) this.#refuse(handshake, request, new HandshakeTimeoutError())
    }, this.#options.upgradeTimeout).unref()
    handshake.stream.once('close', () => clearTimeout(timer))
  }

  /** Writes a refusal past Fastify, whose own 503 during a close leaves the socket open, and the close waiting. */
  #refuse({ stream }: Handshake, request: IncomingMessage, error: FastifyError): void {
    this.#options.refused(error, request)
    const statusCode = error.statusCode as number
    const { code, message } = error
    const body = JSON.stringify({ statusCode, code, error: STATUS_CODES[statusCode], message })
    stream.once('finish', () => stream.destroy())
    stream.end(
      `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}\r\n` +
        'Connection: close\r\nContent-Type: application/json; charset=utf-8\r\n' +
        `Content-Length: ${Buffer.byteLength(body)}\r\nRetry-After: ${this.#options.retryAfter()}\r\n\r\n${body}`
    )
  }

  /**
   * An upgrade to something else (`h2c`, which Java's HttpClient asks for on every cleartext request) may be ignored
   * (RFC 9110 section 7.8). Node has let go of the connection by now, so it is handed in once more, with the request's
   * head as it would be without the upgrade.
   */
  #passAsHttp(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.unshift(Buffer.concat([Buffer.from(headWithoutUpgrade(request), 'latin1'), head]))
    this.#server.emit(this.#server instanceof TlsServer ? 'secureConnection' : 'connection', stream)
  }
}

function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): string {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    let value = rawHeaders[i + 1] as string
    const lower = name.toLowerCase()
    if (UPGRADE_OPTIONS.has(lower)) continue
    if (lower === 'connection') value = withoutUpgrade(value)
    if (value !== '' || lower !== 'connection') text += `${name}: ${value}\r\n`
  }
  return `${text}\r\n`
}

function withoutUpgrade(connection: string): string {
  const options = connection.split(',').map((option) => option.trim())
  return options.filter((option) => !UPGRADE_OPTIONS.has(option.toLowerCase())).join(', ')
}

/** Reads the subprotocol offer and leaves in the header what is not a credential. */
function takeOffer(request: IncomingMessage): SubprotocolOffer {
  const { headers, rawHeaders } = request
  const offer = parseOffer(headers[PROTOCOL_HEADER])
  if (!offer.offered) return offer
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    if (rawHeaders[i]?.toLowerCase() === PROTOCOL_HEADER) rawHeaders.splice(i, 2)
  }
  delete headers[PROTOCOL_HEADER]
  const left = offer.protocols.join(', ')
  if (left !== '') {
    headers[PROTOCOL_HEADER] = left
    rawHeaders.push('Sec-WebSocket-Protocol', left)
  }
  return offer
}

/** Takes whatever is called access_token (RFC 6750 section 2.3), and every JWT, out of the query. */
function takeUrlTokens(request: IncomingMessage): UrlToken[] {
  const tokens: UrlToken[] = []
  const [path, ...rest] = (request.url as string).split('?')
  if (rest.length === 0) return tokens
  // No one expression for the whole: one that may begin at every ? and & takes quadratic time with a hostile URL.
  const pairs = rest.join('?').split('&')
  const redacted = pairs.map((pair) => {
    const equals = pair.indexOf('=')
    const written = equals === -1 ? '' : pair.slice(0, equals)
    const name = decode(written)
    const value = decode(pair.slice(equals + 1))
    // Some parsers take `access_token[]` for the same name.
    const isNamed = name.toLowerCase().replace(/\[.*/, '') === URL_TOKEN_NAME
    if (!isNamed && !holdsJwt(value)) return pair
    tokens.push({ name, value })
    return `${written}=${REDACTED}`
  })
  request.url = `${path}?${redacted.join('&')}`
  return tokens
}

function holdsJwt(value: string): boolean {
  return value.split(/[^\w.-]/).some((word) => JWT.test(word))
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text // not percent-encoding: as it stands
  }
}
