import { CLOSE, type CloseCode } from './close-codes.ts'

/**
 * The close codes of the channel protocol. Its clients decide by the range of the code: they reconnect after 3000–3499
 * and 4000–4499, and stop after 3500–3999 and 4500–4999. Applications use codes from 4000 on.
 */

export interface Disconnect {
  readonly code: number
  /** Short and constant; at most 123 bytes of UTF-8. */
  readonly reason: string
}

export const DISCONNECT = {
  connectionClosed: { code: 3000, reason: 'connection closed' },
  shutdown: { code: 3001, reason: 'shutdown' },
  serverError: { code: 3004, reason: 'internal server error' },
  expired: { code: 3005, reason: 'connection expired' },
  subscriptionExpired: { code: 3006, reason: 'subscription expired' },
  slow: { code: 3008, reason: 'slow' },
  writeError: { code: 3009, reason: 'write error' },
  insufficientState: { code: 3010, reason: 'insufficient state' },
  forceReconnect: { code: 3011, reason: 'force reconnect' },
  noPong: { code: 3012, reason: 'no pong' },
  tooManyRequests: { code: 3013, reason: 'too many requests' },
  stateInvalidated: { code: 3014, reason: 'state invalidated' },
  invalidToken: { code: 3500, reason: 'invalid token' },
  badRequest: { code: 3501, reason: 'bad request' },
  stale: { code: 3502, reason: 'stale' },
  forceStop: { code: 3503, reason: 'force disconnect' },
  connectionLimit: { code: 3504, reason: 'connection limit' },
  channelLimit: { code: 3505, reason: 'channel limit' },
  inappropriateProtocol: { code: 3506, reason: 'inappropriate protocol' },
  permissionDenied: { code: 3507, reason: 'permission denied' },
  notAvailable: { code: 3508, reason: 'not available' },
  tooManyErrors: { code: 3509, reason: 'too many errors' }
} as const satisfies Record<string, Disconnect>

/** The code of the channel protocol for each of this server's other close codes. */
const BY_CLOSE_CODE = new Map<number, Disconnect>([
  [CLOSE.done.code, DISCONNECT.forceStop],
  [CLOSE.goingAway.code, DISCONNECT.shutdown],
  [CLOSE.restart.code, DISCONNECT.shutdown],
  [CLOSE.tryAgainLater.code, DISCONNECT.shutdown],
  [CLOSE.internalError.code, DISCONNECT.serverError],
  [CLOSE.slowConsumer.code, DISCONNECT.slow],
  [CLOSE.badRequest.code, DISCONNECT.badRequest],
  [CLOSE.unauthorized.code, DISCONNECT.expired],
  [CLOSE.forbidden.code, DISCONNECT.forceStop],
  [CLOSE.subprotocol.code, DISCONNECT.inappropriateProtocol],
  [CLOSE.timeout.code, DISCONNECT.noPong],
  [CLOSE.tooManyConnections.code, DISCONNECT.connectionLimit],
  [CLOSE.rateLimited.code, DISCONNECT.tooManyRequests]
])

/** The close code and reason for a connection of the channel protocol, if any other connection would get this one. */
export function disconnectFor({ code, reason }: Pick<CloseCode, 'code' | 'reason'>): Disconnect {
  return BY_CLOSE_CODE.get(code) ?? { code, reason }
}

/** The codes with which the protocol ends a subscription. From 2500 on, the client subscribes again. */
export const UNSUBSCRIBE = {
  byClient: { code: 0, reason: 'client unsubscribed' },
  disconnected: { code: 1, reason: 'disconnect' },
  byServer: { code: 2000, reason: 'server unsubscribe' },
  insufficientState: { code: 2500, reason: 'insufficient state' },
  expired: { code: 2501, reason: 'subscription expired' }
} as const satisfies Record<string, Disconnect>
