import t from 'tap'
import { completeHistory, historyFault } from '../../lib/broker/history-policy.ts'

t.test('how much is kept, or how to mend it', async (t) => {
  t.equal(historyFault({ size: 1, ttl: 1_000 }), undefined)
  t.equal(historyFault({ size: 100_000, ttl: 2_592_000_000 }), undefined)
  const wrong: [unknown, string][] = [
    [null, 'make history an object with size and ttl'],
    [true, 'make history an object with size and ttl'],
    [{ ttl: 1_000 }, 'make history.size a whole number from 1 to 100000'],
    [{ size: 100_001, ttl: 1_000 }, 'make history.size a whole number from 1 to 100000'],
    [{ size: 10 }, 'make history.ttl a whole number from 1000 to 2592000000'],
    [{ size: 10, ttl: 999 }, 'make history.ttl a whole number from 1000 to 2592000000'],
    [{ size: 10, ttl: 1_000, maxBytes: 1_023 }, 'make history.maxBytes a whole number from 1024 to 1073741824'],
    [{ size: 10, ttl: 1_000, maxBytes: null }, 'make history.maxBytes a whole number from 1024 to 1073741824'],
    [{ size: 10, ttl: 1_000, age: 1 }, 'there is no history.age; size, ttl, maxBytes are']
  ]
  for (const [history, fault] of wrong) t.equal(historyFault(history), fault)
})

t.test('8 MiB are kept unless told', async (t) => {
  t.same(completeHistory({ size: 1, ttl: 1_000 }), { size: 1, ttl: 1_000, maxBytes: 8_388_608 })
  t.same(completeHistory({ size: 1, ttl: 1_000, maxBytes: 4_096 }), { size: 1, ttl: 1_000, maxBytes: 4_096 })
})
