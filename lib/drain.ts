import type { FastifyBaseLogger } from 'fastify'
import type { ResolvedDrain } from './options.ts'
import { CLOSE } from './protocol/close-codes.ts'
import type { RealtimeSocket } from './socket/realtime-socket.ts'
import type { Registry } from './socket/registry.ts'
import type { Clock } from './socket/timer-wheel.ts'

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
  readonly log: FastifyBaseLogger
  readonly drain: ResolvedDrain
}

// With few connections the window is not filled: nobody waits for it.
const MAX_GAP = 500
const STEP = 10
// Time at the end for those whose handler took long to answer the close; ws cuts them after as much.
const CLOSE_TIME = 2_000
// A handler that isn't in the middle of a message gets this long to return once its signal aborts: half a second more
// than its socket waits for messages that were on their way.
const IDLE_HANDLER_TIME = 1_500
const MAX_RECONNECT_AFTER = 5_000

/** Empties this node: tells each connection to go, spread over a window, and waits until all have gone. */
export class Drainer {
  readonly #options: DrainerOptions
  #draining: Promise<DrainSummary> | undefined
  readonly #told = new Set<RealtimeSocket>()
  /** Connections that have answered the close so far, and those that did not. */
  closed = 0
  terminated = 0

  constructor(options: DrainerOptions) {
    this.#options = options
  }

  get draining(): boolean {
    return this.#draining !== undefined
  }

  /** Drains once: later calls get the same promise. Resolves at the latest after `timeout`. */
  drain(): Promise<DrainSummary> {
    // A microtask later: what is told to go first may ask at once whether the node drains, or ask it to.
    this.#draining ??= Promise.resolve().then(() => this.#drain())
    return this.#draining
  }

  async #drain(): Promise<DrainSummary> {
    const { registry, clock, drain, log } = this.#options
    const start = clock.now()
    const deadline = start + drain.timeout
    if (drain.delay > 0) await this.#wait(drain.delay)
    await this.#tellAll(deadline)
    // A handshake that was under way when the drain began may end only now.
    const stopTelling = clock.every(MAX_GAP, () => this.#tellRest(deadline))
    const cut = () => {
      for (const socket of [...registry]) socket.terminate()
    }
    await this.#until(registry.empty(), deadline, cut)
    await registry.empty()
    stopTelling()
    const summary = {
      closed: this.closed,
      terminated: this.terminated,
      milliseconds: Math.round(clock.now() - start)
    }
    log.info(summary, 'drained')
    return summary
  }

  /** Tells every connection, one after another. */
  async #tellAll(deadline: number): Promise<void> {
    const { registry, clock, drain, random } = this.#options
    const waiting = shuffle([...registry], random)
    const gap = Math.min(MAX_GAP, drain.window / Math.max(1, waiting.length))
    const start = clock.now()
    let told = 0
    const tellDue = () => {
      const due = gap === 0 ? waiting.length : Math.floor((clock.now() - start) / gap) + 1
      for (; told < Math.min(due, waiting.length); told++) this.#tell(waiting[told] as RealtimeSocket, deadline)
    }
    tellDue()
    if (told < waiting.length) {
      await new Promise<void>((resolve) => {
        const stop = clock.every(STEP, () => {
          tellDue()
          // Whoever has gone of themselves need not be told, and nobody waits for their turn.
          if (told < waiting.length && registry.size > 0 && clock.now() < deadline) return
          stop()
          resolve()
        })
      })
    }
    this.#tellRest(deadline)
  }

  #tellRest(deadline: number): void {
    for (const socket of [...this.#options.registry]) this.#tell(socket, deadline)
  }

  #tell(socket: RealtimeSocket, deadline: number): void {
    if (this.#told.has(socket) || socket.closed) return
    this.#told.add(socket)
    socket.once('close', (code: number) => {
      if (code === CLOSE.abnormal.code) this.terminated++
      else this.closed++
    })
    const { drain, random, clock } = this.#options
    const reconnectAfter = Math.round(random() * Math.min(drain.window, MAX_RECONNECT_AFTER))
    const { handled, busy } = socket.drain(reconnectAfter)
    const close = () => socket.closeWith(CLOSE.restart)
    if (handled === undefined) close()
    else void this.#until(handled, busy ? deadline - CLOSE_TIME : clock.now() + IDLE_HANDLER_TIME, close).then(close)
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
