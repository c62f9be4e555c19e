import type { Outlet } from './crew.ts'
import type { Stamp } from './stamp.ts'
import type { LoadOptions } from './target.ts'

/**
 * Publishes at a fixed rate, whatever the server does: a message is due at its time, and its latency counts from then.
 * If each message were sent after the answer to the one before, a server that stalls would slow down the sender and
 * look fast (coordinated omission). Resolves when all is sent and the time is over, or the signal aborts.
 *
 * @param origin The zero of due times, by `performance.now()`.
 */
export function sendAll(
  outlets: readonly Outlet[],
  write: (stamp: Stamp) => string,
  origin: number,
  { rate, duration, messages }: Pick<LoadOptions, 'rate' | 'duration' | 'messages'>,
  signal: AbortSignal
): Promise<void> {
  const gap = 1000 / rate
  const start = performance.now()
  // All may have disconnected before the first message.
  const total = outlets.length === 0 ? 0 : Math.min(messages, Math.ceil(duration / gap))
  let sent = 0
  const sendNext = () => {
    const { publisher, client, feed } = outlets[sent % outlets.length] as Outlet
    const sequence = publisher.next()
    const due = Math.round((start + sent++ * gap - origin) * 1000)
    client.send({ publisher, sequence, feed, text: write({ publisher: publisher.index, sequence, due }) })
  }
  return new Promise((resolve) => {
    // Timers are no finer.
    const timer = setInterval(() => {
      const elapsed = performance.now() - start
      while (sent < total && sent * gap <= elapsed) sendNext()
      const isOver = sent === total && (total === messages || elapsed >= duration)
      if (!isOver && !signal.aborted) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
}
