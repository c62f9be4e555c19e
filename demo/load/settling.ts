import type { Crew } from './crew.ts'

const TICK = 50
// Messages in progress have this long to arrive. Each arrival gives the others as long again.
const PATIENCE = 5_000
// A client without a connection waits for up to 20 s before it tries again.
const PATIENCE_FOR_ABSENTEES = 30_000
const LONGEST = 120_000
// After an interruption the user expects the figures so far.
const IMPATIENCE = 2_000

/** Waits until all clients are connected again and have everything, or until nothing more arrives. */
export function settle(crew: Crew, signal: AbortSignal): Promise<void> {
  const start = performance.now()
  let interrupted = signal.aborted ? start : undefined
  let progress = progressOf(crew)
  let last = start
  return new Promise((resolve) => {
    const look = () => {
      const now = performance.now()
      if (signal.aborted) interrupted ??= now
      const latest = progressOf(crew)
      if (latest !== progress) {
        progress = latest
        last = now
      }
      const { hasAbsentees } = crew
      const patience = hasAbsentees ? PATIENCE_FOR_ABSENTEES : PATIENCE
      const isOver =
        now - start > LONGEST || now - last > patience || (interrupted !== undefined && now - interrupted > IMPATIENCE)
      if (!isOver && (hasAbsentees || !crew.ledger.isComplete())) return
      clearInterval(timer)
      resolve()
    }
    const timer = setInterval(look, TICK)
    look()
  })
}

function progressOf({ ledger, reconnections }: Crew): number {
  return ledger.delivered + reconnections
}
