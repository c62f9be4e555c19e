import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection } from '../connection/connection.ts'
import type { Registry } from '../connection/registry.ts'
import type { Log } from '../input/guarded-log.ts'
import type { ResolvedDrain } from '../options/options.ts'
import { CLOSE } from '../protocol/close-codes.ts'
import { type Clock, TimerWheel } from '../timing/timer-wheel.ts'

export interface DrainSummary {
  /** Connections that answered the close. */
  readonly closed: number
  /** Connections that did not, and were cut. */
  readonly terminated: number
  readonly milliseconds: number
}

export interface DrainerOptions {
  readonly registry: Registry
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly drain: ResolvedDrain
}

// With few connections the window is not filled: nobody waits for it.
const MAX_GAP = 500
const STEP = 10
// Time at the end for a handler that took long: its client still has to answer the close, and ws allows as much.
const CLOSE_TIME = 2_000
// A handler that isn't in the middle of a message gets this long to return once its signal aborts: half a second more
// than its socket waits for messages that were on their way.
const IDLE_HANDLER_TIME = 1_500
// A client that was warned opens a new connection when its time comes. The old one stays open meanwhile, so that
// nothing is missed: so many milliseconds, but no more than this part of the window.
const HANDOVER_TIME = 1_000
const HANDOVER_PART = 0.25
// Each notice is a write of its own. All of 10,000 at once would hold up everything else for a tenth of a second.
const NOTICES_PER_TURN = 100

/** When a connection's turn to go comes. */
interface ScheduledEnd {
  readonly socket: Connection
  due: number
}

/** Empties this node: warns all connections at once, ends them spread over a window, and waits until all have ended. */
export class Drainer {
  readonly #options: DrainerOptions
  #draining: Promise<DrainSummary> | undefined
  readonly #warned = new Set<Connection>()
  /** Connections whose turn has come, and that have not ended yet. */
  readonly #ending = new Set<Connection>()
  readonly #departures: ScheduledEnd[] = []
  /** When handlers are no longer waited for. */
  readonly #wheel: TimerWheel
  #departed = 0
  /** Connections that have answered the close so far, and those that did not. */
  closed = 0
  terminated = 0

  constructor(options: DrainerOptions) {
    this.#options = options
    this.#wheel = new TimerWheel(options.clock, STEP)
  }

  get draining(): boolean {
    return this.#draining !== undefined
  }

  /** Drains once: later calls get the same promise. Resolves at the latest after `timeout`. */
  drain(): Promise<DrainSummary> {
    // A microtask later: a client or a handler that is warned first may ask at once whether the node drains, or ask it
    // to drain.
    this.#draining ??= Promise.resolve().then(() => this.#drain())
    return this.#draining
  }

  /** A connection has ended. `isAnswered`: its client has answered the close. */
  ended(connection: Connection, isAnswered: boolean): void {
    if (!this.#ending.delete(connection)) return
    if (isAnswered) this.closed++
    else this.terminated++
  }

  async #drain(): Promise<DrainSummary> {
    const { registry, clock, drain, log } = this.#options
    const start = clock.now()
    const deadline = start + drain.timeout
    await this.#warnAll(start + drain.delay)
    // A handshake that was under way when the drain began may end only now.
    const stopWarning = clock.every(MAX_GAP, () => this.#warnLate())
    const delay = start + drain.delay - clock.now()
    if (delay > 0) await this.#wait(delay)
    await this.#endAll(deadline)
    const stopEnding = clock.every(MAX_GAP, () => this.#endRest(deadline))
    const cut = () => {
      for (const socket of [...registry]) socket.terminate()
    }
    await this.#until(registry.empty(), deadline, cut)
    await registry.empty()
    stopWarning()
    stopEnding()
    const summary = {
      closed: this.closed,
      terminated: this.terminated,
      milliseconds: Math.round(clock.now() - start)
    }
    log.info(summary, 'drained')
    return summary
  }

  /**
   * Warns every connection, before anything else happens: the process may be ended long before the drain is over. Each
   * gets a turn of its own, from `first` on.
   */
  async #warnAll(first: number): Promise<void> {
    const { registry, drain, random } = this.#options
    const sockets = shuffle([...registry], random)
    const gap = Math.min(MAX_GAP, drain.window / Math.max(1, sockets.length))
    for (const [index, socket] of sockets.entries()) {
      if (index > 0 && index % NOTICES_PER_TURN === 0) await nextTurn()
      this.#warn(socket, first + index * gap)
    }
    this.#departures.sort((a, b) => a.due - b.due)
  }

  #warnLate(): void {
    const { registry, clock } = this.#options
    for (const socket of registry) {
      if (!this.#warned.has(socket)) this.#warn(socket, Math.max(clock.now(), this.#departures.at(-1)?.due ?? 0))
    }
  }

  #warn(socket: Connection, turn: number): void {
    if (socket.closed) return
    const { drain, clock } = this.#options
    const { delay, window, timeout } = drain
    const spare = Math.min(HANDOVER_TIME, window * HANDOVER_PART, timeout - delay - window)
    const isWarned = socket.warnOfDrain(Math.max(0, Math.round(turn - clock.now())))
    this.#warned.add(socket)
    this.#departures.push({ socket, due: isWarned ? turn + spare : turn })
  }

  /** Ends every connection when its turn comes. */
  async #endAll(deadline: number): Promise<void> {
    const { registry, clock } = this.#options
    const endDue = () => {
      for (let next = this.#departures[this.#departed]; next !== undefined; next = this.#departures[this.#departed]) {
        if (next.due > clock.now()) return false
        this.#departed++
        this.#end(next.socket, deadline)
      }
      return true
    }
    if (!endDue()) {
      await new Promise<void>((resolve) => {
        const stop = clock.every(STEP, () => {
          // A client that left by itself needs no turn, and nobody waits for it.
          if (!endDue() && registry.size > 0 && clock.now() < deadline) return
          stop()
          resolve()
        })
      })
    }
    this.#endRest(deadline)
  }

  #endRest(deadline: number): void {
    this.#warnLate()
    for (; this.#departed < this.#departures.length; this.#departed++) {
      this.#end((this.#departures[this.#departed] as ScheduledEnd).socket, deadline)
    }
  }

  #end(socket: Connection, deadline: number): void {
    if (socket.closed) return
    this.#ending.add(socket)
    const { clock } = this.#options
    const { handled, busy } = socket.drain()
    const close = () => socket.closeWith(CLOSE.restart)
    if (handled === undefined) {
      close()
      return
    }
    const late = {
      wheelTick: -1,
      onDue() {
        close()
        return Number.POSITIVE_INFINITY
      }
    }
    this.#wheel.set(late, busy ? deadline - CLOSE_TIME : clock.now() + IDLE_HANDLER_TIME)
    void handled.then(() => {
      this.#wheel.delete(late)
      close()
    })
  }

  /** Waits for the promise, until the deadline, at which `late` is called. */
  async #until(promise: Promise<unknown>, deadline: number, late: () => void): Promise<void> {
    const { clock } = this.#options
    let stop: (() => void) | undefined
    const timeout = new Promise<void>((resolve) => {
      stop = clock.every(Math.max(1, deadline - clock.now()), () => {
        late()
        resolve()
      })
    })
    await Promise.race([promise, timeout])
    stop?.()
  }

  #wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#options.clock.every(milliseconds, () => {
        stop()
        resolve()
      })
    })
  }
}

function shuffle<T>(items: T[], random: () => number): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const item = items[i] as T
    items[i] = items[j] as T
    items[j] = item
  }
  return items
}
