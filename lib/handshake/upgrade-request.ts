import type { IncomingMessage } from 'node:http'
import * as ws from 'ws'
import { extensionParsers, isInjected } from '../dependencies.ts'

export const BAD_VERSION = 'Sec-WebSocket-Version must be 13'

const KEY = /^[+/0-9A-Za-z]{22}==$/

/** True if `websocket` is among the protocols that the client would change to (RFC 9110 section 7.8). */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  const { upgrade = '' } = headers
  if (upgrade === 'websocket') return true
  return upgrade.split(',').some((protocol) => protocol.trim().toLowerCase() === 'websocket')
}

/**
 * What `ws` would refuse after all hooks, for which it offers no way to answer in JSON (RFC 6455 section 4.2.1), or what
 * it does not see.
 */
export function upgradeFault(request: IncomingMessage): string | undefined {
  const { headers } = request
  if (!isInjected(request)) {
    if (request.httpVersion !== '1.1') return 'HTTP/1.1 is needed'
    if (headers.host === undefined) return 'Host'
  }
  // Its bytes would be taken for frames.
  if (Number(headers['content-length'] ?? 0) !== 0 || headers['transfer-encoding'] !== undefined) return 'a body'
  if (String(headers['sec-websocket-version']) !== '13') return BAD_VERSION
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) return 'Sec-WebSocket-Key'
  const extensions = headers['sec-websocket-extensions']
  if (extensions !== undefined && !isAcceptable(extensions)) return 'Sec-WebSocket-Extensions'
  return undefined
}

const { extension, PerMessageDeflate } = extensionParsers(ws)

/** False where the offer is no extension list, or asks permessage-deflate for what it hasn't (RFC 7692 section 7.1). */
function isAcceptable(extensions: string): boolean {
  try {
    const deflate = extension.parse(extensions)[PerMessageDeflate.extensionName]
    if (deflate !== undefined) new PerMessageDeflate({ isServer: true }).accept(deflate)
    return true
  } catch {
    return false // that it throws is the answer
  }
}
