import type { IncomingHttpHeaders } from 'node:http'
import { createError } from '@fastify/error'

/*
 * The errors of the harness. They help to find out why a test failed. So, unlike the errors of the plugin, they contain
 * what the peer sent.
 */

const RefusedError = createError<[statusCode: number, body: string]>(
  'FST_RT_TEST_REFUSED',
  'The handshake was refused with %s: %s'
)

/** The server answered the handshake with a status other than 101. */
export class HandshakeRefusedError extends RefusedError {
  override readonly statusCode: number
  readonly headers: IncomingHttpHeaders
  readonly body: string

  constructor(statusCode: number, headers: IncomingHttpHeaders, body: string) {
    super(statusCode, excerpt(body) || '(empty body)')
    this.statusCode = statusCode
    this.headers = headers
    this.body = body
  }

  /** The body, parsed as JSON, like the method of the responses of `inject()`. */
  json(): unknown {
    return JSON.parse(this.body)
  }
}

const ClosedError = createError<[expected: string, code: number, reason: string, options: { cause: unknown }]>(
  'FST_RT_TEST_CLOSED',
  'Waited for %s, but the connection closed with %s %s'
)

/** The connection closed before the event that the test waited for. */
export class ConnectionClosedError extends ClosedError {
  /** The close code. 1006 if the connection ended without a close frame. */
  readonly closeCode: number
  readonly reason: string

  constructor(expected: string, closeCode: number, reason: string, cause?: unknown) {
    super(expected, closeCode, reason === '' ? '(no reason given)' : JSON.stringify(reason), { cause })
    this.closeCode = closeCode
    this.reason = reason
  }
}

/** The connection broke before the server had answered the handshake. */
export const ConnectFailedError = createError<[what: string, options: { cause: unknown }]>(
  'FST_RT_TEST_CONNECT',
  'The connection failed before the handshake was done: %s'
)

/** The event that the test waited for did not happen in time. */
export const DeadlineError = createError<[expected: string, milliseconds: number]>(
  'FST_RT_TEST_DEADLINE',
  'Waited for %s, but nothing came within %s ms'
)

/** A message arrived although the test expected none. */
export const UnexpectedMessageError = createError<[count: number, first: string]>(
  'FST_RT_TEST_UNEXPECTED_MESSAGE',
  'Expected no message, but %s waited; the first: %s'
)

/** `send` or `sendRaw` on a connection that is not open. */
export const NotOpenError = createError('FST_RT_TEST_NOT_OPEN', 'The connection is not open')

/** `testToken(app)` needs the app's `@fastify/jwt` to sign the token. */
export const NoSignerError = createError(
  'FST_RT_TEST_NO_SIGNER',
  'The app has no jwt decorator. Register @fastify/jwt, or sign with testToken(claims, { secret })'
)

/** The first 200 characters: enough to recognize a body or a message, and short enough for a test report. */
export function excerpt(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`
}
