/**
 * The close codes that this server sends. RFC 6455 section 7.4.1 defines 1000–1015, and applications may use 4000–4999
 * (section 7.4.2). `closeAdvice` decides what a client does after each code.
 */

import { type CloseAdvice, closeAdvice } from './close-advice.ts'

export interface CloseCode {
  readonly code: number
  /** Short and constant, at most 123 bytes of UTF-8. It contains nothing that a client sent. */
  readonly reason: string
  readonly advice: CloseAdvice
}

export const CLOSE = {
  done: close(1000, 'done'),
  goingAway: close(1001, 'going away'),
  protocolError: close(1002, 'protocol error'),
  unsupportedData: close(1003, 'unsupported data'),
  abnormal: close(1006, 'connection lost'),
  invalidUtf8: close(1007, 'invalid UTF-8'),
  policyViolation: close(1008, 'policy violation'),
  tooLarge: close(1009, 'message too large'),
  internalError: close(1011, 'internal error'),
  restart: close(1012, 'server restart'),
  tryAgainLater: close(1013, 'try again later'),
  slowConsumer: close(4008, 'slow consumer'),
  badRequest: close(4400, 'bad request'),
  unauthorized: close(4401, 'unauthorized'),
  forbidden: close(4403, 'forbidden'),
  subprotocol: close(4406, 'subprotocol not acceptable'),
  timeout: close(4408, 'timeout'),
  tooManyConnections: close(4409, 'too many connections'),
  rateLimited: close(4429, 'rate limited')
} as const satisfies Record<string, CloseCode>

function close<Code extends number, Reason extends string>(code: Code, reason: Reason) {
  return { code, reason, advice: closeAdvice(code) } as const
}

const MAX_REASON_BYTES = 123

/** Cuts a close reason to the 123 bytes that fit into a control frame (RFC 6455 section 5.5), between characters. */
export function truncateReason(reason: string): string {
  let bytes = 0
  let end = 0
  for (const character of reason) {
    const point = character.codePointAt(0) as number
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
    if (bytes > MAX_REASON_BYTES) return reason.slice(0, end)
    end += character.length
  }
  return reason
}
