import type { IncomingHttpHeaders } from 'node:http'
import { CrossSiteError } from '../errors.ts'

/**
 * Throws if a page of another site has made the request with the credentials of its visitor. A browser says so in
 * `Sec-Fetch-Site`, or, without TLS, in `Origin` only. Clients other than browsers send neither.
 * @param host The host of the request, as Fastify determines it.
 */
export function checkSameSite(headers: IncomingHttpHeaders, host: string): void {
  const { 'sec-fetch-site': site, origin } = headers
  const isSame = site === undefined ? origin === undefined || isOf(origin, host) : site === 'same-origin'
  if (!isSame) throw new CrossSiteError()
}

function isOf(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}
