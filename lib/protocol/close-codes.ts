/**
 * The close codes this server sends, in one table that both the server and `shouldReconnect` read. 1000–1015 are
 * RFC 6455 section 7.4.1, 4000–4999 are free for applications (section 7.4.2). In 4000–4999 the range would say
 * whether to reconnect (see `shouldReconnect`); the table speaks first.
 */

/** What a client does about a close: stop, reconnect with backoff, or fetch a new token first. */
export type CloseAdvice = 'stop' | 'reconnect' | 'new-token' | 'slow-reconnect'

export interface CloseCode {
  readonly code: number
  /** Short, constant and free of anything a client sent; at most 123 bytes of UTF-8. */
  readonly reason: string
  readonly advice: CloseAdvice
}

export const CLOSE = {
  done: { code: 1000, reason: 'done', advice: 'stop' },
  goingAway: { code: 1001, reason: 'going away', advice: 'reconnect' },
  protocolError: { code: 1002, reason: 'protocol error', advice: 'stop' },
  unsupportedData: { code: 1003, reason: 'unsupported data', advice: 'stop' },
  abnormal: { code: 1006, reason: 'connection lost', advice: 'reconnect' },
  invalidUtf8: { code: 1007, reason: 'invalid UTF-8', advice: 'stop' },
  policyViolation: { code: 1008, reason: 'policy violation', advice: 'stop' },
  tooLarge: { code: 1009, reason: 'message too large', advice: 'stop' },
  internalError: { code: 1011, reason: 'internal error', advice: 'reconnect' },
  restart: { code: 1012, reason: 'server restart', advice: 'reconnect' },
  tryAgainLater: { code: 1013, reason: 'try again later', advice: 'reconnect' },
  slowConsumer: { code: 4008, reason: 'slow consumer', advice: 'reconnect' },
  badRequest: { code: 4400, reason: 'bad request', advice: 'stop' },
  unauthorized: { code: 4401, reason: 'unauthorized', advice: 'new-token' },
  forbidden: { code: 4403, reason: 'forbidden', advice: 'stop' },
  subprotocol: { code: 4406, reason: 'subprotocol not acceptable', advice: 'stop' },
  timeout: { code: 4408, reason: 'timeout', advice: 'reconnect' },
  tooManyConnections: { code: 4409, reason: 'too many connections', advice: 'stop' },
  rateLimited: { code: 4429, reason: 'rate limited', advice: 'slow-reconnect' }
} as const satisfies Record<string, CloseCode>

const ADVICE = new Map<number, CloseAdvice>(Object.values(CLOSE).map(({ code, advice }) => [code, advice]))

/** What to do about a close code: the table, then the ranges of the channel protocol, then stop. */
export function closeAdvice(code: number): CloseAdvice {
  const advice = ADVICE.get(code)
  if (advice !== undefined) return advice
  const reconnect = (code >= 3000 && code < 3500) || (code >= 4000 && code < 4500)
  return reconnect ? 'reconnect' : 'stop'
}

const MAX_REASON_BYTES = 123

/** Cuts a close reason to the 123 bytes that fit a control frame (RFC 6455 section 5.5), never inside a character. */
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
