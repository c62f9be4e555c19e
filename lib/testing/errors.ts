import type { IncomingHttpHeaders } from 'node:http'
import { createError } from '@fastify/error'

/*
 * What the harness rejects with. These are read by a person whose test just failed, so unlike the errors of the plugin
 * itself they quote what the peer sent.
 */

const RefusedError = createError<[statusCode: number, body: string]>(
  'FST_RT_TEST_REFUSED',
  'The handshake was refused with %s: %s'
)

/** The server answered the handshake with something other than 101. */
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

  /** The body parsed as JSON, as `inject()`'s responses do it. */
  json(): unknown {
    return JSON.parse(this.body)
  }
}

const ClosedError = createError<[expected: string, code: number, reason: string, options: { cause: unknown }]>(
  'FST_RT_TEST_CLOSED',
  'Waited for %s, but the connection closed with %s %s'
)

/** The connection closed before what the test waited for had happened. */
export class ConnectionClosedError extends ClosedError {
  /** The close code; 1006 when the connection ended without a close frame. */
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

/** What the test waited for had not happened when its time was up. */
export const DeadlineError = createError<[expected: string, milliseconds: number]>(
  'FST_RT_TEST_DEADLINE',
  'Waited for %s, but nothing came within %s ms'
)

/** A message had come where the test expected none. */
export const UnexpectedMessageError = createError<[count: number, first: string]>(
  'FST_RT_TEST_UNEXPECTED_MESSAGE',
  'Expected no message, but %s waited; the first: %s'
)

/** `send` or `sendRaw` on a connection that is not open. */
export const NotOpenError = createError('FST_RT_TEST_NOT_OPEN', 'The connection is not open')

/** `testToken(app)` needs the app's own signer. */
export const NoSignerError = createError(
  'FST_RT_TEST_NO_SIGNER',
  'The app has no jwt decorator. Register @fastify/jwt, or sign with testToken(claims, { secret })'
)

/** The first 200 characters: enough to recognize a body or message by, short enough for a test report. */
export function excerpt(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`
}
