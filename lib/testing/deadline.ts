import { DeadlineError } from './errors.ts'

// Read when the module loads, so that a fake clock that a test installs later does not stop the harness's deadlines.
const { setTimeout, clearTimeout } = globalThis

/** The default timeout of each wait of the harness, in milliseconds. */
export const DEFAULT_TIMEOUT = 5_000

/**
 * Settles like `promise`, or rejects after `timeout` milliseconds with an error that names what the test waited for. So
 * a test that would hang fails at the line that waits.
 */
export function within<T>(timeout: number, expected: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(expected, timeout)), timeout)
  })
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer))
}
