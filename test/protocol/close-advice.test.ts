import t from 'tap'
import { closeAdvice } from '../../lib/protocol/close-advice.ts'

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
