import { HookTimeoutError } from '../errors.ts'
import { type Eventual, isPromise } from '../input/eventual.ts'
import type { TimerWheel } from './timer-wheel.ts'

/**
 * Waits so long, and no longer, for what an application's hooks and handlers promise. One that never settles would hold
 * its client's other commands for that channel, and a place among its calls, for ever.
 */
export class HookDeadline {
  readonly #wheel: TimerWheel
  readonly #milliseconds: number

  constructor(wheel: TimerWheel, milliseconds: number) {
    this.#wheel = wheel
    this.#milliseconds = milliseconds
  }

  /** What a hook has returned. Rejects with `FST_RT_HOOK_TIMEOUT`; what comes later is dropped. */
  async wait<Result>(returned: Eventual<Result>): Promise<Result> {
    if (!isPromise<Result>(returned)) return returned
    const wheel = this.#wheel
    return await new Promise<Result>((resolve, reject) => {
      const timeout = {
        wheelTick: -1,
        onDue() {
          reject(new HookTimeoutError())
          return Number.POSITIVE_INFINITY
        }
      }
      wheel.set(timeout, wheel.now() + this.#milliseconds)
      const done = () => wheel.delete(timeout)
      Promise.resolve(returned).then(resolve, reject).then(done)
    })
  }
}
