/** An error with a code. */
export function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

/** What is asked of a client that has ended rejects with this. */
export function ended(): Error {
  return failure('closed', 'The client has ended')
}

/** Nobody has to wait for it: a rejection that nobody handles would end a Node process. */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
