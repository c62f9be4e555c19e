import { ERROR, type ErrorReply, isChannelError } from '../protocol/channel-errors.ts'
import type { Disconnect } from '../protocol/disconnect-codes.ts'

/** The answer to a client whose command failed. */
export type CommandFailure =
  | {
      readonly error: ErrorReply
      /** The error is a fault of the application or of this package, so it is logged. */
      readonly unexpected: boolean
    }
  | { readonly disconnect: Disconnect }

// Errors of this package that are not faults. They are not logged. If the broker is not available, that is logged once,
// when its state changes.
const KNOWN: Readonly<Record<string, ErrorReply>> = {
  FST_RT_SUBSCRIPTION_LIMIT: ERROR.limitExceeded,
  FST_RT_PUBLICATION_TOO_LARGE: ERROR.limitExceeded,
  FST_RT_INVALID_CHANNEL: ERROR.badRequest,
  FST_RT_CONFLICT: ERROR.badRequest,
  // A hook used a value from the client as the key.
  FST_RT_INVALID_IDEMPOTENCY_KEY: ERROR.badRequest,
  FST_RT_UNAVAILABLE: ERROR.internal,
  FST_RT_UNKNOWN_OUTCOME: ERROR.internal,
  FST_RT_SOCKET_CLOSED: ERROR.internal
}

/** Finds the answer for an error that a command, a hook or a handler threw. */
export function failureOf(error: unknown): CommandFailure {
  if (isChannelError(error)) {
    const { code, message, temporary } = error
    return error.disconnects
      ? { disconnect: { code, reason: message } }
      : { error: { code, message, temporary }, unexpected: false }
  }
  const code = (error as { code?: unknown } | null | undefined)?.code
  const known = typeof code === 'string' && Object.hasOwn(KNOWN, code) ? KNOWN[code] : undefined
  return known === undefined ? { error: ERROR.internal, unexpected: true } : { error: known, unexpected: false }
}
