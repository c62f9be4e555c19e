import { formatCount, formatTime } from './figures.ts'
import type { Moment, Phase } from './timeline.ts'

type Output = Pick<NodeJS.WriteStream, 'write'> & { readonly isTTY?: boolean; readonly columns?: number }

const BAR = 20
const LINE_INTERVAL = 1_000
const CLEAR_LINE = '\r\u001b[2K'

/** Shows a run in progress: on a terminal one line that changes, otherwise one line a second. Times in milliseconds. */
export function progressOn(output: Output, connections: number, duration: number) {
  let last: Phase | undefined
  let since = 0
  let shown = Number.NEGATIVE_INFINITY
  return {
    show({ phase, connected, delivered, span, p99 }: Moment, now = performance.now()): void {
      if (phase !== last) since = now
      last = phase
      const done = Math.min(1, (now - since) / duration)
      let line = `${phase}, ${formatCount(connected)} of ${formatCount(connections)} connected`
      if (phase === 'sending')
        line += `, ${Math.round(done * 100)} %, ${formatCount(delivered / span)} deliveries a second`
      if (p99 !== null) line += `, p99 ${formatTime(p99)}`
      if (output.isTTY) {
        const share = { connecting: connected / connections, sending: done, settling: 1 }[phase]
        const bar = '█'.repeat(Math.round(share * BAR)).padEnd(BAR, '░')
        output.write(CLEAR_LINE + `${bar} ${line}`.slice(0, (output.columns ?? 80) - 1))
      } else if (now - shown >= LINE_INTERVAL) {
        shown = now
        output.write(`${line}\n`)
      }
    },
    clear(): void {
      if (output.isTTY) output.write(CLEAR_LINE)
    }
  }
}
