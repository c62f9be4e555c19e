import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import { idle } from './idle.ts'

/**
 * Node's own timers, made to stand still until the test lets time pass: for what takes no clock. They run again with
 * the end of the test.
 */
export function fakeTimers(t: { teardown(fn: () => unknown): void }) {
  mock.timers.enable({ apis: ['setTimeout'] })
  // Whoever has imported them by name would keep the real ones.
  syncBuiltinESMExports()
  t.teardown(() => {
    mock.timers.reset()
    syncBuiltinESMExports()
  })
  return {
    /** Lets time pass, and what was waited for happen: the promises that hang on it settle, and those on them. */
    async pass(milliseconds: number): Promise<void> {
      await idle()
      mock.timers.tick(milliseconds)
      await idle()
    }
  }
}
