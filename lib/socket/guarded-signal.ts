import { setMaxListeners } from 'node:events'

type Listening = Parameters<AbortSignal['addEventListener']>
type AbortListener = Listening[1]

/**
 * Makes a controller whose signal may have listeners that throw. Node treats an error of such a listener as uncaught,
 * which ends the process. Here the error goes to `report`, and the other listeners are called.
 *
 * `AbortSignal.any()` does not add a listener to this signal, and works as usual. The listeners of the signal that it
 * returns are not guarded.
 */
export function guardedController(report: (thrown: unknown) => void): AbortController {
  const controller = new AbortController()
  const { signal } = controller
  // A handler may add many listeners at once. Without this, Node would warn of a leak from eleven on.
  setMaxListeners(0, signal)
  // One guard per listener, so that a listener that is added twice is called once, and can be removed.
  const guards = new WeakMap<object, AbortListener>()
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (type: string, listener: AbortListener, options?: Listening[2]) => {
    addEventListener.call(signal, type, listener && guardOf(guards, listener, report), options)
  }
  signal.removeEventListener = (type: string, listener: AbortListener, options?: Listening[2]) => {
    removeEventListener.call(signal, type, guards.get(listener) ?? listener, options)
  }
  return controller
}

function guardOf(
  guards: WeakMap<object, AbortListener>,
  listener: AbortListener,
  report: (thrown: unknown) => void
): AbortListener {
  let guard = guards.get(listener)
  if (guard === undefined) {
    guard = function (this: unknown, event: Event) {
      try {
        const result: unknown =
          typeof listener === 'function' ? listener.call(this, event) : listener.handleEvent(event)
        Promise.resolve(result).catch(report)
      } catch (error) {
        report(error)
      }
    }
    guards.set(listener, guard)
  }
  return guard
}
