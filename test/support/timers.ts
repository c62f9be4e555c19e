import { EventEmitter } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import { idle } from './idle.ts'

/**
 * Node's own timers, made to stand still until the test lets time pass: for what takes no clock. They run again with
 * the end of the test.
 */
export function fakeTimers(t: { teardown(fn: () => unknown): void }) {
  mock.timers.enable({ apis: ['setTimeout'] })
  // The mock leaves a listener on the signal of each wait, where Node's own timers take it off: Node would warn of a leak.
  const { defaultMaxListeners } = EventEmitter
  EventEmitter.defaultMaxListeners = 0
  // Whoever has imported them by name would keep the real ones.
  syncBuiltinESMExports()
  t.teardown(() => {
    EventEmitter.defaultMaxListeners = defaultMaxListeners
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
