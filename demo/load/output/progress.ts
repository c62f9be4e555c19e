import { whyNotCredible } from '../measure/credibility.ts'
import type { Moment } from '../result.ts'
import { formatCount, formatTime } from './units.ts'

/** What can be written to: stderr, in short. */
export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** A run on its way. */
export interface Status {
  readonly moment: Moment
  readonly asked: number
  /** Milliseconds that the phase has gone on for, and is to go on for (0: nobody knows). */
  readonly elapsed: number
  readonly duration: number
}

const BAR = 20
const LINE_INTERVAL = 1_000
const CLEAR_LINE = '\r\u001b[2K'

/**
 * Shows how a run is going: one line that changes on a terminal, else a line a second. Ours, since it is a line of
 * text, and the packages for it draw bars of one thing that grows.
 */
export class Progress {
  readonly #output: Output
  #last = Number.NEGATIVE_INFINITY
  #isDrawn = false

  constructor(output: Output) {
    this.#output = output
  }

  show(status: Status, now = performance.now()): void {
    const line = describe(status)
    if (this.#output.isTTY) {
      const width = (this.#output.columns ?? 80) - 1
      this.#output.write(`${CLEAR_LINE}${`${bar(status)} ${line}`.slice(0, width)}`)
      this.#isDrawn = true
    } else if (now - this.#last >= LINE_INTERVAL) {
      this.#last = now
      this.#output.write(`${line}\n`)
    }
  }

  /** Says something that stays. */
  note(text: string): void {
    this.clear()
    this.#output.write(`${text}\n`)
  }

  /** Leaves nothing half-drawn behind. */
  clear(): void {
    if (this.#isDrawn) this.#output.write(CLEAR_LINE)
    this.#isDrawn = false
  }
}

function bar({ moment, asked, elapsed, duration }: Status): string {
  const share = moment.phase === 'connecting' ? moment.connected / asked : duration === 0 ? 1 : elapsed / duration
  const filled = Math.round(Math.min(1, share) * BAR)
  return `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}`
}

function describe({ moment, asked, elapsed, duration }: Status): string {
  const { phase, connected, published, delivered, span, p50, p99, loopDelay } = moment
  const parts: string[] = [phase, `${formatCount(connected)} of ${formatCount(asked)} connected`]
  if (phase === 'sending') {
    parts[0] += ` ${(elapsed / 1000).toFixed(0)} of ${(duration / 1000).toFixed(0)} s`
    parts.push(`${formatCount(published / span)} published/s`, `${formatCount(delivered / span)} delivered/s`)
    const isCredible = p50 !== null && p99 !== null && whyNotCredible(loopDelay, { p50, p99 }) === undefined
    if (isCredible) parts.push(`p99 ${formatTime(p99)}`)
  }
  return parts.join(', ')
}
