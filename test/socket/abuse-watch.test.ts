import t from 'tap'
import { AbuseWatch } from '../../lib/socket/abuse-watch.ts'

/** When the watch had enough, of refusals so many milliseconds apart. */
function hadEnough(gap: number, end: number, isRefused: (now: number) => boolean = () => true): number | undefined {
  const watch = new AbuseWatch()
  for (let now = 50; now <= end; now += gap) if (isRefused(now) && watch.refused(now)) return now
  return undefined
}

t.test('abuse is ten seconds of refusals on end', async (t) => {
  t.equal(hadEnough(10, 20_000), 10_070, 'a flood')
  t.equal(hadEnough(250, 20_000), 10_550, 'a few percent over the limit')
})

t.test('a client that is a little over its limit, or comes in bursts with pauses, is only refused', async (t) => {
  t.equal(hadEnough(1_000, 60_000), undefined, 'one refusal a second')
  t.equal(
    hadEnough(1, 60_000, (now) => now % 9_000 < 6_500),
    undefined,
    'pauses of two seconds and more'
  )
})

t.test('a flood in one burst each second is abuse', async (t) => {
  t.ok(hadEnough(1, 20_000, (now) => now % 1_000 < 50))
})

t.test('one refusal is no abuse, however late it comes', async (t) => {
  t.notOk(new AbuseWatch().refused(1_000_000))
})
