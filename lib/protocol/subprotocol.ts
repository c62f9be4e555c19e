/**
 * The `Sec-WebSocket-Protocol` offer (RFC 6455 section 4.1) and the bearer token that browsers put there, since their
 * `WebSocket` can set no other header.
 */

import { holdsJwt } from './json-web-token.ts'

/** The application protocol this package's clients offer. */
export const REALTIME_PROTOCOL = 'realtime.v1'

const BEARER = 'bearer'
const BEARER_PREFIX = 'bearer.'
// Kubernetes' spelling: base64url.bearer.<name>.<base64url of the token>; the name may hold dots, the token none.
const ENCODED_PREFIX = 'base64url.bearer.'
// RFC 7230 token, which RFC 6455 section 11.3.4 asks of each entry.
const TOKEN = /^[!#$%&'*+\-.0-9A-Z^_`|a-z~]+$/

export interface SubprotocolOffer {
  /** The offered protocols that are not credentials, in order. Empty where the header was faulty. */
  readonly protocols: readonly string[]
  /** The credential, still unverified. */
  readonly token?: string
  /** Why the handshake is a 400: bad grammar or a repeated entry, or no or several credentials where one is meant. */
  readonly fault?: 'malformed' | 'credential'
  /** True where anything was offered at all: then one protocol must be selected, or a browser fails the connection. */
  readonly offered: boolean
}

const NOTHING: SubprotocolOffer = { protocols: [], offered: false }
// What most clients offer: what subprotocols() gives them.
const USUAL = `${REALTIME_PROTOCOL}, ${BEARER_PREFIX}`
const USUAL_PROTOCOLS: readonly string[] = [REALTIME_PROTOCOL]

/** Takes an offer apart. Whatever may be a credential never stands in `protocols`, so it can't be selected or echoed. */
export function parseOffer(header: string | undefined): SubprotocolOffer {
  if (header === undefined) return NOTHING
  if (header.startsWith(USUAL)) {
    const token = header.slice(USUAL.length)
    // A comma is no part of a token: with further entries it is taken apart below.
    if (TOKEN.test(token)) return { protocols: USUAL_PROTOCOLS, offered: true, token }
  }
  const entries = header.split(',').map((entry) => entry.trim())
  if (new Set(entries).size !== entries.length || !entries.every((entry) => TOKEN.test(entry))) {
    return { protocols: [], offered: true, fault: 'malformed' }
  }
  const protocols: string[] = []
  const tokens: (string | undefined)[] = []
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as string
    const lower = entry.toLowerCase()
    if (lower === BEARER) tokens.push(entries[++i])
    else if (lower.startsWith(BEARER_PREFIX)) tokens.push(entry.slice(BEARER_PREFIX.length))
    else if (lower.startsWith(ENCODED_PREFIX)) tokens.push(decodeBase64Url(entry.slice(entry.lastIndexOf('.') + 1)))
    else if (holdsJwt(entry)) tokens.push(undefined)
    else protocols.push(entry)
  }
  if (tokens.length === 0) return { protocols, offered: true }
  const [token] = tokens
  if (tokens.length > 1 || !token) return { protocols, offered: true, fault: 'credential' }
  return { protocols, offered: true, token }
}

function decodeBase64Url(text: string): string | undefined {
  try {
    return atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  } catch {
    return undefined // not base64url: the caller answers as for any other faulty credential
  }
}

/** The protocols to offer with a token: `new WebSocket(url, subprotocols(token))`. */
export function subprotocols(token: string): string[] {
  return [REALTIME_PROTOCOL, BEARER_PREFIX + token]
}
