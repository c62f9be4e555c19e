import type { FastifyRequest } from 'fastify'
import type { OriginMatcher } from '../options.ts'

/** Whether a browser's page of that origin may connect. Undefined matchers: the page's host must be the request's. */
export async function isAllowedOrigin(
  origin: string,
  request: FastifyRequest,
  matchers: readonly OriginMatcher[] | undefined
): Promise<boolean> {
  if (!URL.canParse(origin)) return matchers?.includes('*') ?? false
  const url = new URL(origin)
  // A serialized origin is scheme, host and port, nothing else (RFC 6454 section 6.2).
  if (url.origin !== origin.toLowerCase().replace(DEFAULT_PORT, '$1')) return false
  if (matchers === undefined) return url.host === withoutDefaultPort(request.host.toLowerCase(), url.protocol)
  for (const matcher of matchers) if (await matches(matcher, url.origin, request)) return true
  return false
}

const DEFAULT_PORT = /^(http:\/\/[^/]*):80$|^(https:\/\/[^/]*):443$/

function withoutDefaultPort(host: string, protocol: string): string {
  return host.replace(protocol === 'https:' ? /:443$/ : /:80$/, '')
}

async function matches(matcher: OriginMatcher, origin: string, request: FastifyRequest): Promise<boolean> {
  if (typeof matcher === 'string') return matcher === '*' || matcher === origin
  if (matcher instanceof RegExp) return matcher.test(origin)
  return (await matcher(origin, request)) === true
}
