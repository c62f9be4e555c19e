/** The errors with which the channel protocol answers a command. Applications use codes from 400 to 1999. */

export interface ErrorReply {
  readonly code: number
  /** Short and constant. It contains nothing that a client sent. */
  readonly message: string
  /** True if the same command may succeed later. Clients then retry by themselves. */
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
/** The HTTP status of each error, for an error that is thrown in a hook of a route or during the handshake. */
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
 * A hook of `app.channel` or a handler of `app.rpc` throws this error to answer with a code of the channel protocol.
 * Codes from 100 to 1999 answer the command (applications use 400 to 1999). Codes from 3000 to 4999 close the
 * connection with that code. If `temporary` is true, clients retry.
 */
export class ChannelError extends Error {
  readonly code: number
  readonly temporary: boolean
  /** If a hook or handler of a route throws this error, Fastify answers with this status. 403 for most codes. */
  readonly statusCode: number

  /**
   * @param message Sent to the client. By default the protocol's message for the code. At most 123 bytes of UTF-8 if
   * the code closes the connection.
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

  /** True if this error closes the connection. Otherwise it answers the command. */
  get disconnects(): boolean {
    return this.code >= FIRST_DISCONNECT
  }
}

function isCode(code: number): boolean {
  if (!Number.isInteger(code) || code > MAX_CODE) return false
  return (code >= FIRST_ERROR && code <= LAST_ERROR) || code >= FIRST_DISCONNECT
}

/** True for a ChannelError that can be sent. The application may have changed its code or message. */
export function isChannelError(error: unknown): error is ChannelError {
  return error instanceof ChannelError && isCode(error.code) && typeof error.message === 'string'
}

/** The error 103: the client does not have permission. */
export function forbidden(message?: string): ChannelError {
  return new ChannelError(ERROR.permissionDenied.code, message)
}
