/**
 * The JSON messages that this package itself sends on `app.ws` routes: errors, notices, publications and visible pings.
 * `docs/protocol.md` describes each.
 */

export type ErrorCode =
  | 'invalid_json'
  | 'invalid_message'
  | 'unsupported_data'
  | 'rate_limited'
  | 'too_deep'
  | 'unavailable'
  | 'internal'

const ERROR_MESSAGES: Record<ErrorCode, string> = {
  invalid_json: 'The message is not valid JSON',
  invalid_message: 'The message does not match the schema',
  unsupported_data: 'This route takes text messages only',
  rate_limited: 'Too many messages',
  too_deep: 'The message is nested too deeply',
  unavailable: 'The service is unavailable for now',
  internal: 'Internal error'
}

export interface ErrorDetails {
  /** The validator's findings. */
  readonly issues?: readonly unknown[]
  /** Milliseconds. */
  readonly retryAfter?: number
  /** Messages dropped since the last such error. */
  readonly dropped?: number
}

/** The error object in an error message, and in the reply to a request that failed. */
export function errorOf(code: ErrorCode, details?: ErrorDetails): object {
  return { code, message: ERROR_MESSAGES[code], ...details }
}

/** The text of `{"error":{…}}`. */
export function errorMessage(code: ErrorCode, details?: ErrorDetails): string {
  return JSON.stringify({ error: errorOf(code, details) })
}

/** The text of the notice that `dropped` publications were not sent, because the client reads too slowly. */
export function laggingNotice(dropped: number): string {
  return `{"notice":{"code":"lagging","dropped":${dropped}}}`
}

/**
 * The text of the notice that the client missed publications of a channel that are no longer available. The client's
 * state is incomplete. Its subscription continues from this position.
 */
export function insufficientStateNotice(channel: string, offset: number, epoch: string): string {
  return JSON.stringify({ notice: { code: 'insufficient_state', channel, recovered: false, offset, epoch } })
}

/** The text of the notice that this node will stop. The client reconnects after this many milliseconds. */
export function drainingNotice(reconnectAfter: number): string {
  return `{"notice":{"code":"draining","reconnectAfter":${reconnectAfter}}}`
}

/**
 * The text of the first message to a client that resumes, after its handshake. The server sends a visible ping after
 * `ping` idle milliseconds. `queued` is true if the route takes keyed messages.
 */
export function welcomeNotice(ping: number, queued: boolean): string {
  return `{"notice":{"code":"welcome","ping":${ping},"queued":${queued}}}`
}

/** The text of the notice to a client that resumes: it is subscribed. The subscription continues from this position. */
export function subscribedNotice(channel: string, recovered: boolean, offset: number, epoch: string): string {
  return JSON.stringify({ notice: { code: 'subscribed', channel, recovered, offset, epoch } })
}

/** The text of the notice to a client that resumes: it is no longer subscribed. */
export function unsubscribedNotice(channel: string): string {
  return JSON.stringify({ notice: { code: 'unsubscribed', channel } })
}

/** The text of the notice to a client that resumes: the handler has finished with the client's keyed message. */
export function takenNotice(key: string): string {
  return JSON.stringify({ notice: { code: 'taken', key } })
}

/** The text of a ping that browser code can see, with the server's time in milliseconds since 1970. */
export function visiblePing(time: number): string {
  return `{"ping":${time}}`
}

/** The text before the data in each publication of a channel: `{"channel":"…","data":`. */
export function publicationPrefix(channel: string): string {
  return `{"channel":${JSON.stringify(channel)},"data":`
}

/** The text after the data: `,"offset":…,"epoch":"…"}`, or `}` for a publication without a position. */
export function publicationSuffix(offset: number, epoch: string): string {
  return offset === 0 ? '}' : `,"offset":${offset},"epoch":${JSON.stringify(epoch)}}`
}
