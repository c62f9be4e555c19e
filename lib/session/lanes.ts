import { PAUSE_REASON } from '../connection/reading.ts'
import type { SessionConnection } from './services.ts'

/** What a job needs of its lane. */
export interface LaneRules {
  readonly name: string
  /** Jobs of the lane that hold a place at a time. */
  readonly concurrency: number
  /** The job may begin as soon as those before it have released their places; otherwise it waits until they are done. */
  readonly pipelined?: boolean
}

/** A job's place in its lane. */
export interface Place {
  /** What the job does can't be overtaken any more, although it is not done: the next job of the lane may begin. */
  release(): void
}

interface Lane {
  readonly name: string
  /** Jobs that hold a place. */
  holding: number
  /** Jobs that have released their place and are not done. */
  finishing: number
  readonly waiting: Job[]
  /** Its next jobs are being begun. */
  isBeginning: boolean
}

/** What the lanes need of their session. */
export interface LanesSession {
  readonly connection: Pick<SessionConnection, 'settings' | 'intake'>
  /** Nothing runs or waits any more. */
  lanesIdle(): void
}

/**
 * The work of one connection. Jobs of one lane begin in order; lanes don't wait for each other, so that a slow answer
 * for one channel delays no other. Jobs don't reject. If too many jobs wait and run, or too many bytes, the connection
 * is not read until there are half as many, and fewer bytes.
 */
export class Lanes {
  readonly #session: LanesSession
  /** Lanes with a job. */
  readonly #lanes = new Map<string, Lane>()
  #size = 0
  #bytes = 0
  #full = false
  #whenIdle: (() => void)[] = []

  constructor(session: LanesSession) {
    this.#session = session
  }

  /** Jobs that wait or run. */
  get size(): number {
    return this.#size
  }

  /** @param bytes What the job holds until it is done. */
  run(rules: LaneRules, work: (place: Place) => Promise<void>, bytes = 0): void {
    let lane = this.#lanes.get(rules.name)
    if (lane === undefined) {
      lane = { name: rules.name, holding: 0, finishing: 0, waiting: [], isBeginning: false }
      this.#lanes.set(rules.name, lane)
    }
    this.#size++
    this.#bytes += bytes
    lane.waiting.push(new Job(this, lane, rules, work, bytes))
    this.#begin(lane)
    const { maxQueue, maxPayload } = this.#session.connection.settings.limits
    if (this.#full || (this.#size < maxQueue && this.#bytes < maxPayload)) return
    this.#full = true
    this.#session.connection.intake.pause(PAUSE_REASON.inbox)
  }

  /** Forgets what waits. What runs can't be stopped. */
  clear(): void {
    for (const { waiting } of this.#lanes.values()) {
      for (const { bytes } of waiting.splice(0)) this.#left(bytes)
    }
  }

  /** Resolves once nothing runs or waits; undefined if nothing does. */
  idle(): Promise<void> | undefined {
    if (this.#size === 0) return undefined
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  /** @internal A job has released its place. */
  released(lane: Lane): void {
    lane.holding--
    lane.finishing++
    this.#begin(lane)
  }

  #left(bytes: number): void {
    this.#size--
    this.#bytes -= bytes
  }

  #begin(lane: Lane): void {
    // A job that releases its place at once would begin the next within itself, and so on.
    if (lane.isBeginning) return
    lane.isBeginning = true
    for (let job = lane.waiting[0]; job?.mayBegin; job = lane.waiting[0]) {
      lane.waiting.shift()
      lane.holding++
      void this.#run(lane, job)
    }
    lane.isBeginning = false
  }

  async #run(lane: Lane, job: Job): Promise<void> {
    await job.work(job)
    if (job.isReleased) lane.finishing--
    else lane.holding--
    this.#left(job.bytes)
    this.#begin(lane)
    if (lane.holding === 0 && lane.finishing === 0) this.#lanes.delete(lane.name)
    const { maxQueue, maxPayload } = this.#session.connection.settings.limits
    if (this.#full && this.#size <= maxQueue / 2 && this.#bytes < maxPayload) {
      this.#full = false
      this.#session.connection.intake.resume(PAUSE_REASON.inbox)
    }
    if (this.#size > 0) return
    this.#session.lanesIdle()
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}

class Job implements Place {
  readonly #lanes: Lanes
  readonly #lane: Lane
  readonly #rules: LaneRules
  readonly work: (place: Place) => Promise<void>
  readonly bytes: number
  isReleased = false

  constructor(lanes: Lanes, lane: Lane, rules: LaneRules, work: (place: Place) => Promise<void>, bytes: number) {
    this.#lanes = lanes
    this.#lane = lane
    this.#rules = rules
    this.work = work
    this.bytes = bytes
  }

  get mayBegin(): boolean {
    const { holding, finishing } = this.#lane
    return holding < this.#rules.concurrency && (finishing === 0 || this.#rules.pipelined === true)
  }

  release(): void {
    this.isReleased = true
    this.#lanes.released(this.#lane)
  }
}
