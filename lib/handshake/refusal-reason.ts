import type { FastifyError } from 'fastify'

/** What the log line of a refusal says, besides the error's code. */
export interface LoggedReason {
  readonly reason: string | undefined
  [detail: string]: unknown
}

/**
 * Why a handshake was refused, in words of ours that may be logged. It is the `cause` of the error that the client is
 * answered with, which gives no hint.
 */
export class RefusalReason extends Error {
  /** More fields of the log line. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.details = details
  }
}

/** The error, with the reason as its cause. */
export function because<E extends Error>(error: E, cause: unknown): E {
  return Object.assign(error, { cause })
}

// A line stays below 1 KB, whatever a client or a library puts into it.
const MAX_LOGGED = 200

/** What is logged of a refusal: a sentence of ours, a code, or a name. A library's message may quote the token. */
export function loggedReason(error: FastifyError & { cause?: unknown }): LoggedReason {
  const { cause } = error
  if (cause instanceof RefusalReason) return { reason: cause.message, ...cause.details }
  if (!(cause instanceof Error)) return { reason: undefined }
  return { reason: bounded((cause as FastifyError).code ?? cause.name) }
}

/** As much of a text as a log line has room for. */
export function bounded(text: unknown): string {
  const whole = String(text)
  return whole.length > MAX_LOGGED ? `${whole.slice(0, MAX_LOGGED)}…` : whole
}
