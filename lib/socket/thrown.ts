/**
 * What an application's code threw, as something that can be looked at and logged. It may be anything: a value whose
 * own getters or traps throw would end the process where it is read.
 */
export function readable(thrown: unknown): unknown {
  try {
    read(Object(thrown))
    return thrown
  } catch {
    return new Error('Something was thrown that cannot be read')
  }
}

/** Reads all that this package reads of an error, and a logger. */
function read(thrown: Record<string, unknown>): void {
  void (thrown instanceof Error)
  const { message, stack, name, code, cause, errors, constructor: maker } = thrown
  void [message, stack, name, code, cause, errors, maker?.name]
  // With what is inherited: so do loggers.
  for (const key in thrown) void thrown[key]
  void { ...thrown }
}

/** Reports an error by throwing it: what is used if nobody takes reports. */
export function rethrow(error: unknown): never {
  throw error
}

/** What was being done for a client that has gone meanwhile, and failed for that. */
export function isConsequence(error: unknown): boolean {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown }
  return name === 'AbortError' || code === 'FST_RT_SOCKET_CLOSED'
}
