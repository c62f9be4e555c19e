import type { IncomingMessage } from 'node:http'
import { remakeDistinctHeaders } from '../dependencies.ts'
import { holdsJwt } from '../protocol/json-web-token.ts'
import { parseOffer, REALTIME_PROTOCOL, type SubprotocolOffer } from '../protocol/subprotocol.ts'

/*
 * Removes the credentials of a handshake from the subprotocol offer and from the URL, before any hook or log serializer
 * sees the request.
 */

export interface UrlToken {
  readonly name: string
  readonly value: string
}

const NO_TOKENS: readonly UrlToken[] = []
const NO_CONNECTS: readonly string[] = []
/** The parameter of the URL with the `connect` command of a client that uses server-sent events. */
export const CONNECT_NAME = 'cf_connect'
const MAY_HOLD_CONNECT = /%|cf_connect/i
// What begins a query for Fastify's router. It takes `;` only with an option.
const QUERY_START = /[?;#]/
const PATH_HEADER = ':path'
const PROTOCOL_HEADER = 'sec-websocket-protocol'
const URL_TOKEN_NAME = 'access_token'
// Python's `websockets` sends this for an empty list.
const EMPTY_OFFER = /^[\s,]*$/
// A query that does not match contains no token: a JWT has two dots, and the name may be encoded with `%`.
const MAY_HOLD_TOKEN = /%|access_token|\..*\./is
/** Replaces a token in the URL. */
export const REDACTED = 'redacted'

/** Reads the subprotocol offer, and removes the credentials from the header. */
export function takeOffer(request: IncomingMessage): SubprotocolOffer {
  const header = request.headers[PROTOCOL_HEADER]
  const offer = parseOffer(header === undefined || EMPTY_OFFER.test(header) ? undefined : header)
  setHeader(request, offer.protocols.length === 0 ? undefined : standalone(offer.protocols.join(', ')))
  return offer
}

/**
 * Replaces the header in all properties in which Node provides it. `rawHeaders` may contain it even if `headers` does
 * not, because Node stops reading after a number of headers.
 */
function setHeader(request: IncomingMessage, value: string | undefined): void {
  const { headers, rawHeaders } = request
  write(headers, value)
  const indexes = indexesOf(rawHeaders)
  const [first, ...others] = indexes
  if (first === undefined) return
  if (value !== undefined && others.length === 0) {
    rawHeaders[first + 1] = value
    remakeDistinctHeaders(request)
    return
  }
  // Node makes `headersDistinct` from the raw headers at the first read, and needs all of them then. HTTP/2 has none.
  const headersDistinct: Record<string, unknown> = request.headersDistinct ?? {}
  write(headersDistinct, value === undefined ? undefined : [value])
  if (value !== undefined) rawHeaders[first + 1] = value
  for (const index of (value === undefined ? indexes : others).reverse()) rawHeaders.splice(index, 2)
}

/** The indexes of the header in the raw headers. A request of injectWS() has no raw headers. */
function indexesOf(rawHeaders: readonly string[] = []): number[] {
  const indexes: number[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) if (isProtocolHeader(rawHeaders[i] as string)) indexes.push(i)
  return indexes
}

function isProtocolHeader(name: string): boolean {
  return name.length === PROTOCOL_HEADER.length && name.toLowerCase() === PROTOCOL_HEADER
}

function write(headers: Record<string, unknown>, value: unknown): void {
  if (value === undefined) delete headers[PROTOCOL_HEADER]
  else headers[PROTOCOL_HEADER] = value
}

/** A copy of a header's text. A substring in V8 keeps the whole string in memory, which may contain a token. */
function standalone(text: string): string {
  if (text === REALTIME_PROTOCOL) return REALTIME_PROTOCOL
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** Removes each parameter with the name access_token (RFC 6750 section 2.3), and each JWT, from the query. */
export function takeUrlTokens(request: IncomingMessage): readonly UrlToken[] {
  const url = request.url as string
  const query = url.indexOf('?')
  if (query === -1 || !MAY_HOLD_TOKEN.test(url.slice(query))) return NO_TOKENS
  const tokens: UrlToken[] = []
  const [path, ...rest] = url.split('?')
  // Not a single regular expression: one that may match after each ? and & takes quadratic time for a hostile URL.
  const pairs = rest.join('?').split('&')
  const redacted = pairs.map((pair) => {
    const equals = pair.indexOf('=')
    const written = equals === -1 ? '' : pair.slice(0, equals)
    const name = decode(written)
    const value = decode(pair.slice(equals + 1))
    // Some parsers read `access_token[]` as the same name.
    const isNamed = name.toLowerCase().replace(/\[.*/, '') === URL_TOKEN_NAME
    if (!isNamed && !holdsJwt(value)) return pair
    tokens.push({ name, value })
    return `${written}=${REDACTED}`
  })
  setUrl(request, `${path}?${redacted.join('&')}`)
  return tokens
}

/** Removes each parameter `cf_connect` from the query. Returns the values. */
export function takeConnect(request: IncomingMessage): readonly string[] {
  const url = request.url as string
  const start = url.search(QUERY_START)
  if (start === -1 || !MAY_HOLD_CONNECT.test(url.slice(start))) return NO_CONNECTS
  const values: string[] = []
  const redacted = url
    .slice(start + 1)
    .split('&')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const name = decode(equals === -1 ? pair : pair.slice(0, equals))
      if (name.replace(/\[.*/, '') !== CONNECT_NAME) return pair
      if (equals !== -1) values.push(decode(pair.slice(equals + 1)))
      return `${CONNECT_NAME}=${REDACTED}`
    })
  setUrl(request, `${url.slice(0, start + 1)}${redacted.join('&')}`)
  return values
}

/** Sets the URL of a request. Over HTTP/2 it is a header too. */
function setUrl(request: IncomingMessage, url: string): void {
  request.url = url
  const { headers, rawHeaders, httpVersionMajor } = request
  if (httpVersionMajor !== 2) return
  headers[PATH_HEADER] = url
  rawHeaders[rawHeaders.indexOf(PATH_HEADER) + 1] = url
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text // not valid percent-encoding: the text is used unchanged
  }
}
