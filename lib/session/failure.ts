import { ERROR, type ErrorReply, isChannelError } from '../protocol/channel-errors.ts'
import type { Disconnect } from '../protocol/disconnect-codes.ts'

/** How a client is answered if its command fails. */
export type CommandFailure =
  | {
      readonly error: ErrorReply
      /** The error is a fault of the application or of this package: it is logged. */
      readonly unexpected: boolean
    }
  | { readonly disconnect: Disconnect }

// Errors of this package that are no fault: they are not logged. A broker that is away is logged once, when its state
// changes.
const KNOWN: Readonly<Record<string, ErrorReply>> = {
  FST_RT_SUBSCRIPTION_LIMIT: ERROR.limitExceeded,
  FST_RT_PUBLICATION_TOO_LARGE: ERROR.limitExceeded,
  FST_RT_INVALID_CHANNEL: ERROR.badRequest,
  FST_RT_CONFLICT: ERROR.badRequest,
  // The hook used as a key what the client has sent.
  FST_RT_INVALID_IDEMPOTENCY_KEY: ERROR.badRequest,
  FST_RT_UNAVAILABLE: ERROR.internal,
  FST_RT_UNKNOWN_OUTCOME: ERROR.internal,
  FST_RT_SOCKET_CLOSED: ERROR.internal
}

/** Finds the answer for what a command, a hook or a handler threw. */
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
