import { formatCount, formatTime } from './figures.ts'
import type { Moment, Phase } from './timeline.ts'

/** The part of stderr that is used here. */
interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

const BAR = 20
const LINE_INTERVAL = 1_000
const CLEAR_LINE = '\r\u001b[2K'

/** Shows a run in progress: one line that changes on a terminal, otherwise one line a second. */
export class Progress {
  readonly #output: Output
  readonly #connections: number
  readonly #duration: number
  #phase: Phase | undefined
  #since = 0
  #last = Number.NEGATIVE_INFINITY

  /** @param run Its connections, and the milliseconds of sending. */
  constructor(output: Output, run: { readonly connections: number; readonly duration: number }) {
    this.#output = output
    this.#connections = run.connections
    this.#duration = run.duration
  }

  show({ phase, connected, delivered, span, p99 }: Moment, now = performance.now()): void {
    if (phase !== this.#phase) this.#since = now
    this.#phase = phase
    const done = Math.min(1, (now - this.#since) / this.#duration)
    let line = `${phase}, ${formatCount(connected)} of ${formatCount(this.#connections)} connected`
    if (phase === 'sending')
      line += `, ${Math.round(done * 100)} %, ${formatCount(delivered / span)} deliveries a second`
    if (p99 !== null) line += `, p99 ${formatTime(p99)}`
    if (this.#output.isTTY) {
      const share = { connecting: connected / this.#connections, sending: done, settling: 1 }[phase]
      const bar = '█'.repeat(Math.round(share * BAR)).padEnd(BAR, '░')
      this.#output.write(CLEAR_LINE + `${bar} ${line}`.slice(0, (this.#output.columns ?? 80) - 1))
    } else if (now - this.#last >= LINE_INTERVAL) {
      this.#last = now
      this.#output.write(`${line}\n`)
    }
  }

  /** Removes the line that changes. */
  clear(): void {
    if (this.#output.isTTY) this.#output.write(CLEAR_LINE)
  }
}
