import { HookTimeoutError } from '../errors.ts'
import { type Eventual, isPromise } from '../input/eventual.ts'
import type { TimerWheel } from './timer-wheel.ts'

/**
 * Waits a limited time for the promises of an application's hooks and handlers. Without the limit, a promise that never
 * settles would block the client's other commands for that channel, and one of its concurrent calls, for ever.
 */
export class HookDeadline {
  readonly #wheel: TimerWheel
  readonly #milliseconds: number

  constructor(wheel: TimerWheel, milliseconds: number) {
    this.#wheel = wheel
    this.#milliseconds = milliseconds
  }

  /** Waits for the result of a hook. Rejects with `FST_RT_HOOK_TIMEOUT` if it is late; a later result is dropped. */
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
