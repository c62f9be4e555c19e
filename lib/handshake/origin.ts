import type { FastifyRequest } from 'fastify'
import { andThen, type Eventual, isPromise } from '../input/eventual.ts'
import type { OriginMatcher } from '../options/options.ts'
import { bounded, RefusalReason } from './refusal-reason.ts'

/**
 * Why a browser's page with this origin may not connect. Undefined if it may. Without matchers, the origin must have
 * the request's own host, and its scheme if that is known.
 */
export function originFault(
  origin: string,
  request: FastifyRequest,
  matchers: readonly OriginMatcher[] | undefined
): Eventual<RefusalReason | undefined> {
  const serialized = serializeOrigin(origin)
  // The origin `null` (a sandboxed frame, a file) identifies no page. Only the matcher `*` accepts it.
  if (serialized === undefined)
    return matchers?.includes('*') ? undefined : new RefusalReason(`the Origin header holds no origin`)
  if (matchers === undefined) return sameHostFault(serialized, request)
  return andThen(matchesAny(matchers, serialized, request), (isMatched) =>
    isMatched ? undefined : noMatchReason(serialized, request)
  )
}

function noMatchReason(origin: string, request: FastifyRequest): RefusalReason {
  // If you name a development server in `origins`, you may expect that the server's own pages still connect.
  const isOwn = sameHostFault(origin, request) === undefined
  const hint = "a list in origins replaces the rule of the request's own host: name this origin too"
  return new RefusalReason('none of origins matches', { origin: bounded(origin), ...(isOwn && { hint }) })
}

/** The origin in the form of browsers (RFC 6454 section 6.2: scheme, host and port). Undefined if it is no origin. */
function serializeOrigin(origin: string): string | undefined {
  if (!URL.canParse(origin)) return undefined
  const { origin: serialized, protocol, host } = new URL(origin)
  // The pages of an app in a web view have a special scheme, for example capacitor://localhost.
  const whole = serialized === 'null' ? `${protocol}//${host}` : serialized
  return host !== '' && whole === origin.toLowerCase().replace(DEFAULT_PORT, '$1$2') ? whole : undefined
}

const DEFAULT_PORT = /^(http:\/\/[^/]*):80$|^(https:\/\/[^/]*):443$/

/** Why a page does not belong to the host of the request. Undefined if it does. */
function sameHostFault(origin: string, request: FastifyRequest): RefusalReason | undefined {
  const { protocol, host, hostname } = new URL(origin)
  const scheme = schemeOf(request)
  const own = request.host.toLowerCase().replace(protocol === 'https:' ? /:443$/ : /:80$/, '')
  const isPage = protocol === 'http:' || protocol === 'https:'
  if (isPage && host === own && (scheme ?? protocol) === protocol) return undefined
  const compared = { origin: bounded(origin), host: bounded(own), scheme: scheme?.slice(0, -1) }
  // A likely cause: the page is from a development server, and its proxy changes the Host header.
  const isLocal = LOCAL.test(hostname) && LOCAL.test(own.replace(/:\d+$/, ''))
  const hint = 'name the development server in origins, or have its proxy keep the Host header (changeOrigin: false)'
  return new RefusalReason('the origin is not the host', isLocal ? { ...compared, hint } : compared)
}

const LOCAL = /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/**
 * The scheme that the client used. It is known if the server itself uses TLS, or if a trusted proxy reports the scheme.
 * A server without TLS may be behind a proxy with TLS.
 */
function schemeOf(request: FastifyRequest): 'http:' | 'https:' | undefined {
  const { headers, ips, protocol } = request
  const forwarded = headers['x-forwarded-proto'] as string | undefined
  // `ips` exists only with the option `trustProxy`. `protocol` comes from the header only if Fastify trusts the proxy.
  const isForwarded = ips !== undefined && forwarded?.split(',').at(-1)?.trim() === protocol
  // For an upgrade, some proxies send wss.
  if (/^(https|wss)$/i.test(protocol)) return 'https:'
  return isForwarded && /^(http|ws)$/i.test(protocol) ? 'http:' : undefined
}

/** Tries the matchers in order, from that one on, until one matches. */
function matchesAny(
  matchers: readonly OriginMatcher[],
  origin: string,
  request: FastifyRequest,
  from = 0
): Eventual<boolean> {
  for (let at = from; at < matchers.length; at++) {
    const result = matches(matchers[at] as OriginMatcher, origin, request)
    if (result === true) return true
    if (isPromise(result)) {
      return andThen(result, (isMatched) => isMatched === true || matchesAny(matchers, origin, request, at + 1))
    }
  }
  return false
}

/** Any value other than `true` is not a match. */
function matches(matcher: OriginMatcher, origin: string, request: FastifyRequest): Eventual<unknown> {
  if (typeof matcher === 'string') return matcher === '*' || matcher === origin
  if (matcher instanceof RegExp) return matcher.test(origin)
  return matcher(origin, request)
}
