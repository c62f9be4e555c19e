import type { Outbox, SharedBatches } from '../../lib/connection/outbox.ts'
import type { Batch, Turn } from '../../lib/connection/turn.ts'

/** Adds batches to those that gather frames for an outbox. */
export function addFeeds(outbox: Outbox, ...batches: Batch[]): void {
  const before = outbox.feeds
  const feeds: SharedBatches = {
    size: (before?.size ?? 0) + batches.length,
    handOut(turn: Turn) {
      before?.handOut(turn)
      for (const batch of batches) turn.handOut(batch, 'during')
    }
  }
  outbox.feeds = feeds
}
