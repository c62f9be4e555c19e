/** A value, or a promise of it. */
export type Eventual<Value> = Value | PromiseLike<Value>

export function isPromise<Value>(value: Eventual<Value> | unknown): value is PromiseLike<Value> {
  return typeof (value as PromiseLike<Value> | null | undefined)?.then === 'function'
}

/**
 * Calls `use` at once with a value, or later with the value of a promise. One `await` costs a handshake as much as
 * several of its checks, and most checks have no promise to wait for.
 */
export function andThen<Value, Result>(
  value: Eventual<Value>,
  use: (value: Value) => Eventual<Result>
): Eventual<Result> {
  // The promise may be an application's, with a `then` of any kind.
  return isPromise<Value>(value) ? Promise.resolve(value).then(use) : use(value)
}

/**
 * Calls a function that takes a callback. If the function calls back at once, the result is returned at once, or the
 * error is thrown. Otherwise a promise is returned.
 */
export function fromCallback<Value>(call: (done: (error: unknown, value?: Value) => void) => void): Eventual<Value> {
  let settled: { error: unknown; value: Value } | undefined
  let settle = (error: unknown, value?: Value) => {
    settled = { error, value: value as Value }
  }
  call((error, value) => settle(error, value))
  if (settled === undefined) {
    return new Promise<Value>((resolve, reject) => {
      settle = (error, value) => (error ? reject(error) : resolve(value as Value))
    })
  }
  if (settled.error) throw settled.error
  return settled.value
}
