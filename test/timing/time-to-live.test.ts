import t from 'tap'
import { timeToLive } from '../../lib/timing/time-to-live.ts'

t.test('a little less than there is, so that the client comes in time', async (t) => {
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  Date.now = () => 1_700_000_000_250
  const ttl = (left: number) => timeToLive(Date.now() / 1000 + left)
  t.equal(timeToLive(undefined), undefined)
  t.equal(timeToLive(Number.POSITIVE_INFINITY), undefined)
  t.equal(ttl(-5), 1)
  t.equal(ttl(1.9), 1)
  t.equal(ttl(5.5), 4)
  t.equal(ttl(101), 90)
  t.equal(ttl(3_600.5), 3_570)
})
