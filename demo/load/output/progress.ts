import { whyNotCredible } from '../measure/credibility.ts'
import type { Moment } from '../result.ts'
import { formatCount, formatTime } from './units.ts'

/** The part of stderr that is used here. */
export interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** A run in progress. */
export interface Status {
  readonly moment: Moment
  readonly asked: number
  /** The duration of the phase so far, and its expected duration (0 if unknown), in milliseconds. */
  readonly elapsed: number
  readonly duration: number
}

const BAR = 20
const LINE_INTERVAL = 1_000
const CLEAR_LINE = '\r\u001b[2K'

/**
 * Shows the progress of a run: one line that changes on a terminal, otherwise one line a second. It is our own code,
 * since it is a line of text, and the packages for it draw bars of one thing that grows.
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

  /** Prints a line that stays. */
  note(text: string): void {
    this.clear()
    this.#output.write(`${text}\n`)
  }

  /** Finishes a line that is drawn. */
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
