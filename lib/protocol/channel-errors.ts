/** The errors that the channel protocol answers a command with. Codes from 400 to 1999 are the application's. */

export interface ErrorReply {
  readonly code: number
  /** Short, constant and free of anything a client sent. */
  readonly message: string
  /** True where the same command may succeed later: clients try again by themselves. */
  readonly temporary?: boolean
}

export const ERROR = {
  internal: { code: 100, message: 'internal server error', temporary: true },
  unauthorized: { code: 101, message: 'unauthorized' },
  unknownChannel: { code: 102, message: 'unknown channel' },
  permissionDenied: { code: 103, message: 'permission denied' },
  methodNotFound: { code: 104, message: 'method not found' },
  alreadySubscribed: { code: 105, message: 'already subscribed' },
  limitExceeded: { code: 106, message: 'limit exceeded' },
  badRequest: { code: 107, message: 'bad request' },
  notAvailable: { code: 108, message: 'not available' },
  tokenExpired: { code: 109, message: 'token expired' },
  expired: { code: 110, message: 'expired' },
  tooManyRequests: { code: 111, message: 'too many requests', temporary: true },
  unrecoverablePosition: { code: 112, message: 'unrecoverable position' }
} as const satisfies Record<string, ErrorReply>

const MESSAGES = new Map<number, ErrorReply>(Object.values(ERROR).map((error) => [error.code, error]))
/** HTTP statuses of the errors, if one is thrown where a status answers: in a hook of a route, at the handshake. */
const STATUS: Readonly<Record<number, number>> = {
  [ERROR.internal.code]: 500,
  [ERROR.unauthorized.code]: 401,
  [ERROR.unknownChannel.code]: 404,
  [ERROR.methodNotFound.code]: 404,
  [ERROR.limitExceeded.code]: 429,
  [ERROR.badRequest.code]: 400,
  [ERROR.notAvailable.code]: 404,
  [ERROR.tokenExpired.code]: 401,
  [ERROR.expired.code]: 401,
  [ERROR.tooManyRequests.code]: 429
}
const FORBIDDEN = 403
const MAX_CODE = 4_999
const FIRST_ERROR = 100
const LAST_ERROR = 1_999
const FIRST_DISCONNECT = 3_000

/**
 * What a hook of `app.channel` or a handler of `app.rpc` throws to answer with a code of the channel protocol. Codes
 * from 100 to 1999 answer the command (400 to 1999 are the application's own), codes from 3000 to 4999 end the
 * connection with that code. `temporary` tells clients to try again.
 */
export class ChannelError extends Error {
  readonly code: number
  readonly temporary: boolean
  /** The status that Fastify answers with if a hook or handler of a route throws this: 403, unless the code says more. */
  readonly statusCode: number

  /**
   * @param message Sent to the client. The protocol's own, unless given; at most 123 bytes of UTF-8 with a code that
   * ends the connection.
   */
  constructor(code: number, message?: string, options: { temporary?: boolean; cause?: unknown } = {}) {
    const known = MESSAGES.get(code)
    super(message ?? known?.message ?? 'error', 'cause' in options ? { cause: options.cause } : undefined)
    if (!isCode(code)) throw new RangeError('A code of the channel protocol is 100 to 1999, or 3000 to 4999')
    this.name = 'ChannelError'
    this.code = code
    this.statusCode = STATUS[code] ?? FORBIDDEN
    this.temporary = options.temporary ?? known?.temporary ?? false
  }

  /** True where it ends the connection rather than answering the command. */
  get disconnects(): boolean {
    return this.code >= FIRST_DISCONNECT
  }
}

function isCode(code: number): boolean {
  if (!Number.isInteger(code) || code > MAX_CODE) return false
  return (code >= FIRST_ERROR && code <= LAST_ERROR) || code >= FIRST_DISCONNECT
}

/** True for a ChannelError that can be sent: an application may have changed what it made. */
export function isChannelError(error: unknown): error is ChannelError {
  return error instanceof ChannelError && isCode(error.code) && typeof error.message === 'string'
}

/** The error 103: the client may not do this. */
export function forbidden(message?: string): ChannelError {
  return new ChannelError(ERROR.permissionDenied.code, message)
}
