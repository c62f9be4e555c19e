import type { IncomingMessage } from 'node:http'
import * as ws from 'ws'
import { extensionParsers, isInjected } from '../dependencies.ts'

export const BAD_VERSION = 'Sec-WebSocket-Version must be 13'

const KEY = /^[+/0-9A-Za-z]{22}==$/

/** True if `websocket` is one of the protocols in the header Upgrade (RFC 9110 section 7.8). */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  const { upgrade = '' } = headers
  if (upgrade === 'websocket') return true
  return upgrade.split(',').some((protocol) => protocol.trim().toLowerCase() === 'websocket')
}

/**
 * Checks the headers of an upgrade (RFC 6455 section 4.2.1). Returns what is wrong, or undefined. `ws` checks most of
 * this only after all hooks, and cannot answer in JSON. The rest it does not check.
 */
export function upgradeFault(request: IncomingMessage): string | undefined {
  const { headers } = request
  if (!isInjected(request)) {
    if (request.httpVersion !== '1.1') return 'HTTP/1.1 is needed'
    if (headers.host === undefined) return 'Host'
  }
  // The bytes of a body would be read as frames.
  if (Number(headers['content-length'] ?? 0) !== 0 || headers['transfer-encoding'] !== undefined) return 'a body'
  if (String(headers['sec-websocket-version']) !== '13') return BAD_VERSION
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) return 'Sec-WebSocket-Key'
  const extensions = headers['sec-websocket-extensions']
  if (extensions !== undefined && !isAcceptable(extensions)) return 'Sec-WebSocket-Extensions'
  return undefined
}

const { extension, PerMessageDeflate } = extensionParsers(ws)

/** False if the header is malformed, or has invalid parameters for permessage-deflate (RFC 7692 section 7.1). */
function isAcceptable(extensions: string): boolean {
  try {
    const deflate = extension.parse(extensions)[PerMessageDeflate.extensionName]
    if (deflate !== undefined) new PerMessageDeflate({ isServer: true }).accept(deflate)
    return true
  } catch {
    return false // the parsers throw for an invalid offer
  }
}
