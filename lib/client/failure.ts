/** An error with a code. */
export function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

/** The error for calls after the client has closed. */
export function ended(): Error {
  return failure('closed', 'The client has ended')
}

/** Handles the rejection of a promise that the caller may ignore. An unhandled rejection would end a Node process. */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
