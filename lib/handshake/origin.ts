import type { FastifyRequest } from 'fastify'
import { andThen, type Eventual } from '../input/eventual.ts'
import type { OriginMatcher } from '../options/options.ts'
import { bounded, RefusalReason } from './refusal-reason.ts'

/**
 * Why a browser's page of that origin may not connect; undefined if it may. Without matchers, it has to be a page of
 * the request's own host, and scheme if that is known.
 */
export function originFault(
  origin: string,
  request: FastifyRequest,
  matchers: readonly OriginMatcher[] | undefined
): Eventual<RefusalReason | undefined> {
  const serialized = serializeOrigin(origin)
  // `null` (a sandboxed frame, a file) is nobody's origin: only a list that lets everybody in holds it.
  if (serialized === undefined)
    return matchers?.includes('*') ? undefined : new RefusalReason(`the Origin header holds no origin`)
  if (matchers === undefined) return ownFault(serialized, request)
  return andThen(matchesAny(matchers, serialized, request), (isMatched) =>
    isMatched ? undefined : unmatched(serialized, request)
  )
}

function unmatched(origin: string, request: FastifyRequest): RefusalReason {
  // Somebody who names a development server may expect that the server's own pages still connect.
  const isOwn = ownFault(origin, request) === undefined
  const hint = "a list in origins replaces the rule of the request's own host: name this origin too"
  return new RefusalReason('none of origins matches', { origin: bounded(origin), ...(isOwn && { hint }) })
}

/** An origin as a browser would write it; undefined where it is none (RFC 6454 section 6.2: scheme, host and port). */
function serializeOrigin(origin: string): string | undefined {
  if (!URL.canParse(origin)) return undefined
  const { origin: serialized, protocol, host } = new URL(origin)
  // The pages of an application in a web view have a scheme of their own, like capacitor://localhost.
  const whole = serialized === 'null' ? `${protocol}//${host}` : serialized
  return host !== '' && whole === origin.toLowerCase().replace(DEFAULT_PORT, '$1$2') ? whole : undefined
}

const DEFAULT_PORT = /^(http:\/\/[^/]*):80$|^(https:\/\/[^/]*):443$/

/** Why a page is not one of the server's own. */
function ownFault(origin: string, request: FastifyRequest): RefusalReason | undefined {
  const { protocol, host, hostname } = new URL(origin)
  const scheme = schemeOf(request)
  const own = request.host.toLowerCase().replace(protocol === 'https:' ? /:443$/ : /:80$/, '')
  const isPage = protocol === 'http:' || protocol === 'https:'
  if (isPage && host === own && (scheme ?? protocol) === protocol) return undefined
  const compared = { origin: bounded(origin), host: bounded(own), scheme: scheme?.slice(0, -1) }
  // A page that a development server hands out, and a proxy there that changes the Host header.
  const isLocal = LOCAL.test(hostname) && LOCAL.test(own.replace(/:\d+$/, ''))
  const hint = 'name the development server in origins, or have its proxy keep the Host header (changeOrigin: false)'
  return new RefusalReason('the origin is not the host', isLocal ? { ...compared, hint } : compared)
}

const LOCAL = /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/**
 * The scheme that the client used, if that is known: the server's own TLS, or what a trusted proxy says. A server
 * without TLS may stand behind a proxy that has it.
 */
function schemeOf(request: FastifyRequest): 'http:' | 'https:' | undefined {
  const { headers, ips, protocol } = request
  const forwarded = headers['x-forwarded-proto'] as string | undefined
  // Only an application with `trustProxy` has `ips`, and only a header that it trusts makes the protocol.
  const isForwarded = ips !== undefined && forwarded?.split(',').at(-1)?.trim() === protocol
  // Proxies write wss for an upgrade.
  if (/^(https|wss)$/i.test(protocol)) return 'https:'
  return isForwarded && /^(http|ws)$/i.test(protocol) ? 'http:' : undefined
}

/** Asks one matcher after the other: the next one only if the one before did not match. */
function matchesAny(matchers: readonly OriginMatcher[], origin: string, request: FastifyRequest): Eventual<boolean> {
  const [matcher, ...others] = matchers
  if (matcher === undefined) return false
  return andThen(matches(matcher, origin, request), (isMatched) => {
    return isMatched === true || matchesAny(others, origin, request)
  })
}

/** Only `true` is a match. */
function matches(matcher: OriginMatcher, origin: string, request: FastifyRequest): Eventual<unknown> {
  if (typeof matcher === 'string') return matcher === '*' || matcher === origin
  if (matcher instanceof RegExp) return matcher.test(origin)
  return matcher(origin, request)
}
