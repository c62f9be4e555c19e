import { createError } from '@fastify/error'

/*
 * All errors that this package throws, rejects with or answers a handshake with, each with its code. Messages are
 * constant, except for texts of the application's author (option names, channel patterns). They contain nothing that a
 * client sent, because error messages are logged.
 */

// Mistakes of the programmer, thrown at registration.
export const InvalidOptionError = createError<[option: string, mend: string]>('FST_RT_INVALID_OPTION', 'Option %s: %s')
export const AlreadyRegisteredError = createError(
  'FST_RT_ALREADY_REGISTERED',
  'fastify-realtime is registered already on this server. Register it once, in the outermost scope that needs it; the scopes below inherit it.'
)
export const NoAuthenticationError = createError<[mend: string]>(
  'FST_RT_NO_AUTHENTICATION',
  'Clients cannot be authenticated: %s'
)
export const DependencyError = createError<[dependency: string, mend: string]>('FST_RT_DEPENDENCY', '%s: %s')
export const InvalidRouteError = createError<[route: string, mend: string]>('FST_RT_INVALID_ROUTE', 'Route %s: %s')
export const InvalidChannelPatternError = createError<[pattern: string, mend: string]>(
  'FST_RT_INVALID_CHANNEL_PATTERN',
  'Channel %s: %s'
)
export const InvalidMethodError = createError<[method: string, mend: string]>('FST_RT_INVALID_METHOD', 'Method %s: %s')

export const UnguardedDashboardError = createError(
  'FST_RT_UNGUARDED_DASHBOARD',
  'Anybody could open the dashboard: give the option key, give the option onRequest, or register it in a scope that has added a hook which refuses strangers. The hooks of the scope in which fastify-realtime is registered do not count'
)

// Refused handshakes. The message is sent in the response. It does not tell why a credential was refused.
export const DrainingError = createError('FST_RT_DRAINING', 'The server is restarting', 503)
export const ForbiddenOriginError = createError('FST_RT_FORBIDDEN_ORIGIN', 'Origin not allowed', 403)
export const CapacityError = createError('FST_RT_CAPACITY', 'Too many connections', 503)
export const UserCapacityError = createError('FST_RT_USER_CAPACITY', 'Too many connections of this user', 429)
export const BadHandshakeError = createError<[what: string]>('FST_RT_BAD_HANDSHAKE', 'Bad WebSocket handshake: %s', 400)
export const SubprotocolError = createError('FST_RT_SUBPROTOCOL', 'No acceptable subprotocol was offered', 400)
export const UnauthorizedError = createError('FST_RT_UNAUTHORIZED', 'Unauthorized', 401)
export const DismissedError = createError('FST_RT_DISMISSED', 'Disconnected', 403)
export const KeysUnavailableError = createError('FST_RT_KEYS_UNAVAILABLE', 'Tokens cannot be verified now', 503)
export const NotWebSocketRouteError = createError('FST_RT_NOT_WEBSOCKET_ROUTE', 'Not a WebSocket route', 404)
export const UpgradeRequiredError = createError(
  'FST_RT_UPGRADE_REQUIRED',
  'This route accepts WebSocket connections only',
  426
)
export const HandshakeTimeoutError = createError('FST_RT_HANDSHAKE_TIMEOUT', 'The handshake took too long', 503)

// Refused requests of clients that use channels over HTTP. The message is sent in the response.
export const BadConnectError = createError<[what: string]>('FST_RT_BAD_CONNECT', 'Bad connect command: %s', 400)
export const BadEmulationError = createError(
  'FST_RT_BAD_EMULATION',
  'The body is an object with node, session and data',
  400
)
export const BodyTooLargeError = createError('FST_RT_BODY_TOO_LARGE', 'The body is larger than 64 KiB', 413)
export const ContentTypeError = createError('FST_RT_CONTENT_TYPE', 'This content type is not supported', 415)
export const UnknownSessionError = createError('FST_RT_UNKNOWN_SESSION', 'The session is unknown', 404)
export const CommandsWaitError = createError('FST_RT_COMMANDS_WAIT', 'Too many commands wait', 429)

// Refused requests to the dashboard. The message is sent in the response.
export const CrossSiteError = createError('FST_RT_CROSS_SITE', 'Requests of other sites are refused', 403)
export const TooManyGuessesError = createError('FST_RT_TOO_MANY_GUESSES', 'Too many wrong keys: wait a minute', 429)

// Calls that cannot be executed.
export const InvalidChannelError = createError(
  'FST_RT_INVALID_CHANNEL',
  'A channel name is 1 to 255 bytes of UTF-8 without control characters, and each parameter must fit its pattern',
  400
)
export const InvalidArgumentError = createError<[argument: string, mend: string]>(
  'FST_RT_INVALID_ARGUMENT',
  'Argument %s: %s',
  400
)
export const InvalidDataError = createError(
  'FST_RT_INVALID_DATA',
  'The data cannot be written as JSON. Bytes are for channels that are declared with binary: true',
  500,
  TypeError
)
export const InvalidBytesError = createError(
  'FST_RT_INVALID_BYTES',
  'The channel is declared with binary: true, so its publications are bytes: give a Uint8Array',
  500,
  TypeError
)
/** The data is larger than `limits.publication`. Nothing was published. */
export const PublicationTooLargeError = createError(
  'FST_RT_PUBLICATION_TOO_LARGE',
  'The data of the publication is larger than limits.publication',
  413
)
export const InvalidIdempotencyKeyError = createError(
  'FST_RT_INVALID_IDEMPOTENCY_KEY',
  'An idempotency key is a string of 1 to 255 bytes of UTF-8',
  400
)
export const SubscriptionLimitError = createError('FST_RT_SUBSCRIPTION_LIMIT', 'Too many subscriptions', 429)
export const SocketClosedError = createError('FST_RT_SOCKET_CLOSED', 'The socket is closed', 410)
export const MessagesTakenError = createError(
  'FST_RT_MESSAGES_TAKEN',
  'messages() is for app.ws routes, and for one loop at a time: each message would reach only one of two loops'
)
export const RequestsOffError = createError(
  'FST_RT_REQUESTS_OFF',
  'socket.request() is for app.ws routes with the option requests: true'
)
export const RequestLimitError = createError('FST_RT_REQUEST_LIMIT', 'Too many requests wait for the client', 429)
export const RequestTimeoutError = createError('FST_RT_REQUEST_TIMEOUT', 'The client did not reply in time', 504)
/** The client replied with an error. The `cause` is that error. */
export const RequestRefusedError = createError('FST_RT_REQUEST_REFUSED', 'The client replied with an error', 502)
/** A hook or a handler took longer than `channels.hookTimeout`. This is logged, and the client gets the error 100. */
export const HookTimeoutError = createError('FST_RT_HOOK_TIMEOUT', 'A hook or a handler took too long')
export const ConflictError = createError('FST_RT_CONFLICT', 'The idempotency key was used for other data', 409)
/** The broker is not available. Nothing was done. */
export const UnavailableError = createError('FST_RT_UNAVAILABLE', 'The broker is unavailable', 503)
/** The broker did not answer in time. The call may have been executed: retry with the same idempotency key. */
export const UnknownOutcomeError = createError(
  'FST_RT_UNKNOWN_OUTCOME',
  'The broker did not confirm in time; retry with the same idempotency key',
  503
)
/** The broker answered with an error (out of memory, a key of another type, no permission). */
export const BrokerError = createError<[what: string]>('FST_RT_BROKER', 'The broker refused: %s', 503)
