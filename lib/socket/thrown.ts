/**
 * What an application's code threw, as something that can be looked at and logged. It may be anything: a value whose
 * own getters throw would end the process where it is read.
 */
export function readable(thrown: unknown): unknown {
  try {
    const { message, stack, name, code } = Object(thrown)
    // Whoever logs it reads all of it.
    void { ...Object(thrown), message, stack, name, code }
    return thrown
  } catch {
    return new Error('Something was thrown that cannot be read')
  }
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
