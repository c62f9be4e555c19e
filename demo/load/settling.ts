import type { Crew } from './crew.ts'

const TICK = 50
// What is under way has so long to come on, and each thing that comes gives the others as long again.
const PATIENCE = 5_000
// Who is away waits for up to 20 s before it tries again.
const PATIENCE_FOR_ABSENTEES = 30_000
const LONGEST = 120_000
// Whoever interrupts the run wants to see what there is.
const IMPATIENCE = 2_000

/** Waits until everybody is back and has got everything, or nothing comes any more. */
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
