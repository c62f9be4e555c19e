/** What is there already, or is promised. */
export type Eventual<Value> = Value | PromiseLike<Value>

export function isPromise<Value>(value: Eventual<Value> | unknown): value is PromiseLike<Value> {
  return typeof (value as PromiseLike<Value> | null | undefined)?.then === 'function'
}

/**
 * Goes on at once with what is there, and later with what is promised. An `await` costs a handshake as much as several
 * of its checks, and most of them have nothing to wait for.
 */
export function whenThere<Value, Result>(
  value: Eventual<Value>,
  use: (value: Value) => Eventual<Result>
): Eventual<Result> {
  return isPromise<Value>(value) ? value.then(use) : use(value)
}

/**
 * Calls a function that takes a callback. If it calls back at once, its result is there at once, or thrown.
 * @param call What it returns counts if that is a promise: then nobody waits for the callback.
 */
export function called<Value>(call: (done: (error: unknown, value?: Value) => void) => unknown): Eventual<Value> {
  let settled: { error: unknown; value: Value } | undefined
  let settle = (error: unknown, value?: Value) => {
    settled = { error, value: value as Value }
  }
  const returned = call((error, value) => settle(error, value))
  if (isPromise<Value>(returned)) return returned
  if (settled === undefined) {
    return new Promise<Value>((resolve, reject) => {
      settle = (error, value) => (error ? reject(error) : resolve(value as Value))
    })
  }
  if (settled.error) throw settled.error
  return settled.value
}
