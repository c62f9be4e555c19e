import { DeadlineError } from './errors.ts'

// Taken when the module loads: a fake clock that a test installs later must not stop the harness's deadlines.
const { setTimeout, clearTimeout } = globalThis

/** Milliseconds that any wait of the harness may take unless the test says otherwise. */
export const DEFAULT_TIMEOUT = 5_000

/**
 * The outcome of `promise`, or a rejection that names what was waited for once `timeout` milliseconds are over: a test
 * that would hang fails at its line instead.
 */
export function within<T>(timeout: number, expected: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(expected, timeout)), timeout)
  })
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer))
}
