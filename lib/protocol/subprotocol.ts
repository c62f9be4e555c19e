/**
 * The offer in the header `Sec-WebSocket-Protocol` (RFC 6455 section 4.1). Browsers put the bearer token there, because
 * their `WebSocket` can set no other header.
 */

import { holdsJwt } from './json-web-token.ts'

/** The protocol that this package's clients offer. */
export const REALTIME_PROTOCOL = 'realtime.v1'

/** What clients of the channel protocol offer if they use Protobuf. */
export const PROTOBUF_PROTOCOL = 'centrifuge-protobuf'

const BEARER = 'bearer'
const BEARER_PREFIX = 'bearer.'
// The form that Kubernetes uses: base64url.bearer.<name>.<base64url of the token>. Only the name may contain dots.
const ENCODED_PREFIX = 'base64url.bearer.'
// RFC 6455 section 11.3.4 requires that each entry is a token of RFC 7230.
const TOKEN = /^[!#$%&'*+\-.0-9A-Z^_`|a-z~]+$/

export interface SubprotocolOffer {
  /** The offered protocols that are not credentials, in order. Empty if the header is malformed. */
  readonly protocols: readonly string[]
  /** The credential, still unverified. */
  readonly token?: string
  /**
   * Why the handshake is answered with 400. `malformed`: an invalid or repeated entry. `credential`: the offer should
   * contain one token, but contains none or several.
   */
  readonly fault?: 'malformed' | 'credential'
  /** True if the client offered anything. If the server then selects no protocol, a browser fails the connection. */
  readonly offered: boolean
}

const NOTHING: SubprotocolOffer = { protocols: [], offered: false }
// The offer of most clients: the result of subprotocols().
const USUAL = 'realtime.v1, bearer.'
const USUAL_PROTOCOLS: readonly string[] = [REALTIME_PROTOCOL]

/** Parses an offer. `protocols` never contains a possible credential, so that none is selected or echoed. */
export function parseOffer(header: string | undefined): SubprotocolOffer {
  if (header === undefined) return NOTHING
  if (header.startsWith(USUAL)) {
    const token = header.slice(USUAL.length)
    // If there are more entries, this is no token because of the comma, and the offer is parsed below.
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
    return undefined // not base64url: the caller answers as for any other invalid credential
  }
}

/** The protocols to offer with a token: `new WebSocket(url, subprotocols(token))`. */
export function subprotocols(token: string): string[] {
  return [REALTIME_PROTOCOL, BEARER_PREFIX + token]
}
