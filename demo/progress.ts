/** The way of one worker through a restart or a kill. */
export interface WorkerStep {
  /** The number of the worker, from 1 in the order of their starts. */
  readonly worker: number
  /** The number of the worker that takes its place; null if there is none yet. */
  readonly successor: number | null
  readonly state: 'waiting' | 'starting' | 'draining' | 'killed' | 'done' | 'failed'
  /** Why it failed, or why the last try did; null if nothing failed. */
  readonly reason: string | null
}

/** The last action, worker by worker. The panel "Break it" shows it. */
export class Progress {
  #steps: WorkerStep[] = []

  get steps(): readonly WorkerStep[] {
    return this.#steps
  }

  /** Begins again, with these workers. */
  begin(workers: readonly number[]): void {
    this.#steps = workers.map((worker) => ({ worker, successor: null, state: 'waiting', reason: null }))
  }

  /** Changes the step of a worker. Does nothing for a worker that has none. */
  set(worker: number, change: Partial<Omit<WorkerStep, 'worker'>>): void {
    this.#steps = this.#steps.map((step) => (step.worker === worker ? { ...step, ...change } : step))
  }

  /** What has not ended yet has failed for this reason. The others were not reached, and stay. */
  fail(reason: string): void {
    this.#steps = this.#steps.map((step) => {
      return step.state === 'waiting' || step.state === 'done' ? step : { ...step, state: 'failed', reason }
    })
  }
}
