import type { IncomingMessage } from 'node:http'
import { remakeDistinctHeaders } from '../dependencies.ts'
import { holdsJwt } from '../protocol/json-web-token.ts'
import { parseOffer, REALTIME_PROTOCOL, type SubprotocolOffer } from '../protocol/subprotocol.ts'

/*
 * Credentials of a handshake that stand where others may read them: in the subprotocol offer and in the URL. They are
 * taken out of the request before any hook or log serializer sees it.
 */

export interface UrlToken {
  readonly name: string
  readonly value: string
}

const PROTOCOL_HEADER = 'sec-websocket-protocol'
const URL_TOKEN_NAME = 'access_token'
// What Python's `websockets` sends for an empty list.
const EMPTY_OFFER = /^[\s,]*$/
/** What stands in the URL in place of a token. */
export const REDACTED = 'redacted'

/** Reads the subprotocol offer and leaves in the header what is not a credential. */
export function takeOffer(request: IncomingMessage): SubprotocolOffer {
  const header = request.headers[PROTOCOL_HEADER]
  const offer = parseOffer(header === undefined || EMPTY_OFFER.test(header) ? undefined : header)
  setHeader(request, offer.protocols.length === 0 ? undefined : standalone(offer.protocols.join(', ')))
  return offer
}

/**
 * Writes the header anew in everything that Node offers for reading it. `rawHeaders` may have it where `headers` does
 * not, since Node stops reading after a number of headers.
 */
function setHeader(request: IncomingMessage, value: string | undefined): void {
  const { headers, rawHeaders } = request
  write(headers, value)
  const places = placesOf(rawHeaders)
  const [first, ...others] = places
  if (first === undefined) return
  if (value !== undefined && others.length === 0) {
    rawHeaders[first + 1] = value
    remakeDistinctHeaders(request)
    return
  }
  // Node makes these from the raw headers when they are first read, and counts on finding as many as came. HTTP/2 has none.
  const headersDistinct: Record<string, unknown> = request.headersDistinct ?? {}
  write(headersDistinct, value === undefined ? undefined : [value])
  if (value !== undefined) rawHeaders[first + 1] = value
  for (const place of (value === undefined ? places : others).reverse()) rawHeaders.splice(place, 2)
}

/** Where the header stands in the raw headers. What injectWS() made has none. */
function placesOf(rawHeaders: readonly string[] = []): number[] {
  const places: number[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) if (isProtocolHeader(rawHeaders[i] as string)) places.push(i)
  return places
}

function isProtocolHeader(name: string): boolean {
  return name.length === PROTOCOL_HEADER.length && name.toLowerCase() === PROTOCOL_HEADER
}

function write(headers: Record<string, unknown>, value: unknown): void {
  if (value === undefined) delete headers[PROTOCOL_HEADER]
  else headers[PROTOCOL_HEADER] = value
}

/** A copy of a header's text: V8 lets a part of a string keep all of it, which here may hold a token. */
function standalone(text: string): string {
  if (text === REALTIME_PROTOCOL) return REALTIME_PROTOCOL
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** Takes every parameter that is called access_token (RFC 6750 section 2.3), and every JWT, out of the query. */
export function takeUrlTokens(request: IncomingMessage): readonly UrlToken[] {
  const tokens: UrlToken[] = []
  const url = request.url as string
  if (!url.includes('?')) return tokens
  const [path, ...rest] = url.split('?')
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

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text // not percent-encoding: as it stands
  }
}
