import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Dismissals } from '../../lib/handshake/dismissals.ts'

const KEEP = 10_000
const EVER = Number.POSITIVE_INFINITY
const FORBIDDEN = { code: 4403, reason: 'forbidden' }

function rig() {
  const clock = { now: 1_000 }
  return { clock, dismissals: new Dismissals(() => clock.now, KEEP) }
}

t.test('case 119: a dismissal concerns handshakes that began before it, of that user alone', async (t) => {
  const { dismissals } = rig()
  const before = dismissals.mark()
  dismissals.dismiss('ada', { ...FORBIDDEN, do: 'disconnect' } as never, EVER)
  t.strictSame(dismissals.since(before, 'ada'), FORBIDDEN, 'with what it was, and no more')
  t.equal(dismissals.since(before, 'bob'), undefined)
  const after = dismissals.mark()
  t.equal(dismissals.since(after, 'ada'), undefined, 'in the same millisecond too')
  dismissals.dismiss('ada', { code: 4000, reason: 'again' }, EVER)
  t.match(dismissals.since(after, 'ada'), { code: 4000 })
  t.match(dismissals.since(before, 'ada'), { code: 4000 }, 'the latest')
})

t.test('case 153: a request that comes late is not for handshakes that began after it was made', async (t) => {
  const { dismissals, clock } = rig()
  t.equal(dismissals.latest, Number.NEGATIVE_INFINITY)
  const early = dismissals.mark()
  clock.now += 3_000
  const late = dismissals.mark()
  t.equal(dismissals.latest, clock.now)
  clock.now += 1_000
  dismissals.dismiss('ada', FORBIDDEN, clock.now - 2_000)
  t.match(dismissals.since(early, 'ada'), FORBIDDEN)
  t.equal(dismissals.since(late, 'ada'), undefined)
})

t.test('it is kept for as long as a handshake may take, and no longer', async (t) => {
  const { dismissals, clock } = rig()
  const mark = dismissals.mark()
  dismissals.dismiss('ada', FORBIDDEN, EVER)
  clock.now += KEEP - 1
  dismissals.dismiss('bob', FORBIDDEN, EVER)
  t.ok(dismissals.since(mark, 'ada'))
  dismissals.dismiss('ada', FORBIDDEN, EVER)
  clock.now += 2
  dismissals.dismiss('eve', FORBIDDEN, EVER)
  t.ok(dismissals.since(mark, 'ada'), 'one that was repeated lasts anew')
  clock.now += KEEP + 1
  dismissals.dismiss('dan', FORBIDDEN, EVER)
  for (const user of ['ada', 'bob', 'eve']) t.equal(dismissals.since(mark, user), undefined, user)
  t.ok(dismissals.since(mark, 'dan'))
})

t.test('case 153: what else was done to a user’s connections is done to one that opens later', async (t) => {
  const { dismissals, clock } = rig()
  const done: string[] = []
  const change = (user: string, kind: string, what: string, madeAt = EVER) =>
    dismissals.change(user, kind, (connection) => done.push(`${what} ${connection}`), madeAt)
  const before = dismissals.mark()
  change('ada', 'refresh', 'refresh 1')
  change('ada', 'channel a', 'subscribe')
  change('bob', 'refresh', 'refresh bob')
  change('ada', 'refresh', 'refresh 2')
  const after = dismissals.mark()
  dismissals.catchUp(before, 'ada', 'x')
  t.strictSame(done, [], 'its handler begins first')
  await nextTurn()
  t.strictSame(done.splice(0), ['subscribe x', 'refresh 2 x'], 'the latest of each kind, in order')
  dismissals.catchUp(after, 'ada', 'y')
  dismissals.catchUp(before, 'nobody', 'z')
  clock.now += 1_000
  const late = dismissals.mark()
  change('ada', 'channel b', 'unsubscribe', clock.now - 500)
  dismissals.catchUp(late, 'ada', 'y')
  await nextTurn()
  t.strictSame(done, [], 'nothing is done to those that began later')
  clock.now += KEEP
  change('ada', 'channel c', 'subscribe')
  change('eve', 'refresh', 'refresh')
  dismissals.catchUp(before, 'ada', 'x')
  clock.now += 1
  change('dan', 'refresh', 'refresh')
  dismissals.catchUp(before, 'bob', 'x')
  await nextTurn()
  t.strictSame(done, ['unsubscribe x', 'subscribe x'], 'and it is not kept for longer than a handshake takes')
})
