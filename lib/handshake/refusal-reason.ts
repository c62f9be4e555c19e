import type { FastifyError } from 'fastify'

/** The fields of the log line of a refusal, besides the error's code. */
export interface LoggedReason {
  readonly reason: string | undefined
  [detail: string]: unknown
}

/**
 * Why a handshake was refused. The reason may be logged, because this package wrote the text. It is the `cause` of the
 * error that answers the handshake. The answer itself does not contain it.
 */
export class RefusalReason extends Error {
  /** More fields of the log line. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.details = details
  }
}

/** Sets the cause of an error, and returns the error. */
export function withCause<E extends Error>(error: E, cause: unknown): E {
  return Object.assign(error, { cause })
}

// The line is shorter than 1 KB, whatever text comes from a client or a library.
const MAX_LOGGED = 200

/**
 * The reason of a refusal for the log: a text of this package, an error code, or the name of an error. The message of a
 * library's error is not logged, because it may contain the token.
 */
export function loggedReason(error: FastifyError & { cause?: unknown }): LoggedReason {
  const { cause } = error
  if (cause instanceof RefusalReason) return { reason: cause.message, ...cause.details }
  if (!(cause instanceof Error)) return { reason: undefined }
  return { reason: bounded((cause as FastifyError).code ?? cause.name) }
}

/** Cuts a text to the maximum length in a log line. */
export function bounded(text: unknown): string {
  const whole = String(text)
  return whole.length > MAX_LOGGED ? `${whole.slice(0, MAX_LOGGED)}…` : whole
}
