import t from 'tap'
import { CLOSE, type CloseCode, closeAdvice, truncateReason } from '../../lib/protocol/close-codes.ts'

t.test('what a client does about each close', async (t) => {
  const advice = {
    stop: [1000, 1002, 1003, 1007, 1008, 1009, 4400, 4403, 4406, 4409],
    reconnect: [1001, 1006, 1011, 1012, 1013, 4008, 4408],
    'new-token': [4401],
    'slow-reconnect': [4429]
  } as const
  for (const [expected, codes] of Object.entries(advice)) {
    for (const code of codes) t.equal(closeAdvice(code), expected, String(code))
  }
})

t.test('codes that are not in the table go by the ranges of the channel protocol', async (t) => {
  for (const code of [3000, 3499, 4000, 4499]) t.equal(closeAdvice(code), 'reconnect', String(code))
  for (const code of [3500, 3999, 4500, 4999]) t.equal(closeAdvice(code), 'stop', String(code))
  for (const code of [0, 999, 1004, 1005, 1015, 2999, 5000, Number.NaN])
    t.equal(closeAdvice(code), 'stop', String(code))
})

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
