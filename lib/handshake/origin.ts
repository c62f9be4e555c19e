import type { FastifyRequest } from 'fastify'
import type { OriginMatcher } from '../options.ts'

/** Whether a browser's page of that origin may connect. Undefined matchers: the page's host must be the request's. */
export async function isAllowedOrigin(
  origin: string,
  request: FastifyRequest,
  matchers: readonly OriginMatcher[] | undefined
): Promise<boolean> {
  const serialized = serializeOrigin(origin)
  // `null` (a sandboxed frame, a file) is nobody's origin: only a list that lets everybody in holds it.
  if (serialized === undefined) return matchers?.includes('*') ?? false
  if (matchers === undefined) return isHost(serialized, request.host)
  for (const matcher of matchers) if (await matches(matcher, serialized, request)) return true
  return false
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

function isHost(origin: string, host: string): boolean {
  const { protocol, host: theirs } = new URL(origin)
  if (protocol !== 'http:' && protocol !== 'https:') return false
  return theirs === host.toLowerCase().replace(protocol === 'https:' ? /:443$/ : /:80$/, '')
}

async function matches(matcher: OriginMatcher, origin: string, request: FastifyRequest): Promise<boolean> {
  if (typeof matcher === 'string') return matcher === '*' || matcher === origin
  if (matcher instanceof RegExp) return matcher.test(origin)
  return (await matcher(origin, request)) === true
}
