import t from 'tap'
import { CLOSE, type CloseCode, truncateReason } from '../../lib/protocol/close-codes.ts'

t.test('no code stands twice, and each reason fits a close frame', async (t) => {
  const entries: CloseCode[] = Object.values(CLOSE)
  t.equal(new Set(entries.map(({ code }) => code)).size, entries.length)
  for (const { reason } of entries) t.equal(truncateReason(reason), reason)
})

t.test('a reason is cut to 123 bytes, never inside a character', async (t) => {
  t.equal(truncateReason(''), '')
  t.equal(truncateReason('a'.repeat(123)), 'a'.repeat(123))
  t.equal(truncateReason('a'.repeat(124)), 'a'.repeat(123))
  t.equal(truncateReason(`${'a'.repeat(122)}é`), 'a'.repeat(122))
  t.equal(truncateReason(`${'a'.repeat(121)}é!`), `${'a'.repeat(121)}é`)
  t.equal(truncateReason(`${'a'.repeat(121)}€`), 'a'.repeat(121))
  t.equal(truncateReason('€'.repeat(42)), '€'.repeat(41))
  t.equal(truncateReason('👋'.repeat(31)), '👋'.repeat(30))
})
