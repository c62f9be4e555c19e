import { PAUSE_REASON } from '../connection/reading.ts'
import type { SessionConnection } from './services.ts'

/** The lane in which a job runs, and when the job may begin. */
export interface LaneRules {
  readonly name: string
  /** How many jobs of the lane may hold a slot at a time. */
  readonly concurrency: number
  /**
   * The job may begin as soon as the jobs before it have released their slots. Otherwise it waits until they are done.
   */
  readonly pipelined?: boolean
}

/** A job's slot in its lane. A job holds one until it is done, unless it releases the slot earlier. */
export interface LaneSlot {
  /** Lets the next job of the lane begin. Call this once the next job can no longer overtake this one. */
  release(): void
}

interface Lane {
  readonly name: string
  /** How many jobs hold a slot. */
  holding: number
  /** How many jobs have released their slot and are not done. */
  finishing: number
  readonly waiting: Job[]
  /** True while `#begin` runs for this lane. */
  isBeginning: boolean
}

/** What the lanes need of their session. */
export interface LanesSession {
  readonly connection: Pick<SessionConnection, 'settings' | 'intake'>
  /** No job runs or waits any more. */
  lanesIdle(): void
}

/**
 * Queues the jobs of one connection. The jobs of one lane begin in order. Lanes do not wait for each other, so a slow
 * answer for one channel does not delay other channels. Jobs do not reject. If there are too many jobs, or too many
 * bytes, reading is paused. It is resumed once there are half as many jobs, and fewer bytes than the limit.
 */
export class Lanes {
  readonly #session: LanesSession
  /** The lanes that have a job. */
  readonly #lanes = new Map<string, Lane>()
  #size = 0
  #bytes = 0
  #full = false
  #whenIdle: (() => void)[] = []

  constructor(session: LanesSession) {
    this.#session = session
  }

  /** How many jobs wait or run. */
  get size(): number {
    return this.#size
  }

  /** @param bytes How many bytes the job keeps in memory until it is done. */
  run(rules: LaneRules, work: (slot: LaneSlot) => Promise<void>, bytes = 0): void {
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

  /** Drops the jobs that wait. Running jobs cannot be stopped. */
  clear(): void {
    for (const { waiting } of this.#lanes.values()) {
      for (const { bytes } of waiting.splice(0)) this.#subtract(bytes)
    }
  }

  /** Resolves once no job runs or waits. Undefined if there is none. */
  idle(): Promise<void> | undefined {
    if (this.#size === 0) return undefined
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  /** @internal A job has released its slot. */
  released(lane: Lane): void {
    lane.holding--
    lane.finishing++
    this.#begin(lane)
  }

  #subtract(bytes: number): void {
    this.#size--
    this.#bytes -= bytes
  }

  /** Begins the lane's next jobs, if they may begin. */
  #begin(lane: Lane): void {
    // If a job releases its slot at once, this is called within the call below. Otherwise calls would nest without
    // limit.
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
    this.#subtract(job.bytes)
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

class Job implements LaneSlot {
  readonly #lanes: Lanes
  readonly #lane: Lane
  readonly #rules: LaneRules
  readonly work: (slot: LaneSlot) => Promise<void>
  readonly bytes: number
  isReleased = false

  constructor(lanes: Lanes, lane: Lane, rules: LaneRules, work: (slot: LaneSlot) => Promise<void>, bytes: number) {
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
