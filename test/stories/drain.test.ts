import { type Test, test } from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import { atLeast, holdsNoToken } from '../support/app.ts'
import { Crowd, type Member } from '../support/crowd.ts'
import { DemoProcess } from '../support/demo.ts'
import { rawUpgrade } from '../support/raw-socket.ts'

/*
 * A deploy with everybody there: the process is told to go while 2,000 clients are idle, 20 are in the middle of
 * something and 50 don't answer any more.
 */
const WINDOW = 4_000
const TIMEOUT = 10_000
const IDLE = 2_000
const BUSY = 20
const MUTE = 50
const BUCKET = 500
const secret = 'the secret of the demo that drains'

test('SIGTERM with 2,000 clients: told, spread, answered, and gone in time', async (t) => {
  const env = { JWT_SECRET: secret, DRAIN_WINDOW: `${WINDOW}`, DRAIN_TIMEOUT: `${TIMEOUT}` }
  const demo = await DemoProcess.start(t, env)
  const token = testToken({ sub: 'crowd' }, { secret })
  const base = demo.address.replace('http', 'ws')
  const idle = await Crowd.join(t, { url: `${base}/ws/json`, count: IDLE / 2, token })
  const plain = await Crowd.join(t, { url: `${base}/ws/echo`, count: IDLE / 2 })
  const mute = await Crowd.join(t, { url: `${base}/ws/json`, count: MUTE, token })
  const busy = await Crowd.join(t, { url: `${base}/ws/json`, count: BUSY, token, busy: true })
  t.equal(await connections(demo), IDLE + BUSY + MUTE)
  mute.stop()

  const start = Date.now()
  demo.signal('SIGTERM')
  await demo.message('shutting down')
  t.equal((await fetch(`${demo.address}/ready`)).status, 503, 'not ready')
  t.equal((await fetch(`${demo.address}/health`)).status, 200, 'and in good health')
  const { response } = await rawUpgrade(demo.port, { path: '/ws/echo' })
  t.equal(response.statusCode, 503, 'no new connections')
  t.match(response.headers['retry-after'], /^\d+$/)

  const end = await demo.exited
  // One that takes longer than the drain's timeout and what the demo adds to it ends with 1.
  t.equal(end.code, 0)
  t.match(await demo.message('drained'), { closed: IDLE + BUSY, terminated: MUTE })
  t.same(atLeast(demo.logs, 'error'), [])
  holdsNoToken(t, token, demo.logs, demo.noise)

  const told = [...(await idle.members), ...(await busy.members)]
  const all = [...told, ...(await plain.members)]
  t.same(new Set(all.map(({ code }) => code)), new Set([1012]), 'all were closed with 1012')
  t.same(all.map(({ fault }) => fault).filter(Boolean), [], 'and heard nothing they did not expect')
  checkCloses(t, all, start)
  checkNotices(t, told)
  checkAnswers(t, await busy.members)
  t.comment(`exit 0 after ${Math.round(end.milliseconds)} ms of ${TIMEOUT}`)
})

async function connections(demo: DemoProcess): Promise<number> {
  const metrics = await (await fetch(`${demo.address}/metrics`)).text()
  const lines = metrics.matchAll(/^realtime_connections(?:{[^}]*})? (\d+)$/gm)
  return Array.from(lines, ([, value]) => Number(value)).reduce((sum, value) => sum + value, 0)
}

function histogram(values: readonly number[], size: number): number[] {
  const buckets: number[] = []
  for (const value of values) {
    const at = Math.floor(value / size)
    buckets[at] = (buckets[at] ?? 0) + 1
  }
  return Array.from(buckets, (count) => count ?? 0)
}

function checkCloses(t: Test, members: readonly Member[], start: number): void {
  const after = members.map(({ closedAt }) => closedAt - start)
  const buckets = histogram(after, BUCKET)
  t.comment(`closes in each ${BUCKET} ms: ${buckets.join(' ')}`)
  // A machine that is busy with other tests may hold up one and hurry the next: how even it is, is told by the clock that
  // stands (test/drain.test.ts).
  const most = Math.max(...buckets)
  t.ok(most < members.length / 2, `at most ${most} of ${members.length} at once`)
  const span = Math.max(...after) - Math.min(...after)
  t.ok(span > 0.8 * WINDOW, `over ${span} ms of ${WINDOW}`)
}

function checkNotices(t: Test, members: readonly Member[]): void {
  const hints = members.map(({ reconnectAfter }) => reconnectAfter ?? -1)
  t.ok(Math.min(...hints) >= 0, 'each was told before it was closed')
  t.ok(Math.max(...hints) <= WINDOW)
  // A hint counts from its receipt. On a busy machine the last notice comes late, and its hint is the shorter for it.
  const returns = members.map(({ noticedAt = 0, reconnectAfter = 0 }) => noticedAt + reconnectAfter)
  const first = Math.min(...returns)
  const span = Math.max(...returns) - first
  const quarters = histogram(
    returns.map((time) => time - first),
    span / 4
  )
  t.comment(`returns in each quarter of ${span} ms: ${quarters.join(' ')}`)
  for (const count of quarters.slice(0, 4)) t.ok(count > members.length * 0.15, 'and when to come back, spread')
  for (const { noticedAt, closedAt } of members) {
    if (noticedAt === undefined || noticedAt > closedAt) t.fail('a notice came after the close')
  }
}

function checkAnswers(t: Test, members: readonly Member[]): void {
  const sent = members.reduce((sum, { sentAt }) => sum + sentAt.length, 0)
  const answered = members.reduce((sum, { answeredAt }) => sum + answeredAt.length, 0)
  const times = members.flatMap(({ sentAt, answeredAt }) => answeredAt.map((time, i) => time - (sentAt[i] as number)))
  const slowest = Math.max(...times)
  t.comment(`busy clients: ${answered} answers to ${sent} messages, the slowest after ${slowest} ms`)
  for (const { sentAt, answeredAt, noticedAt } of members) {
    t.ok(answeredAt.length > 0)
    // What crossed the notice on its way may be lost; nothing that the server had read before it.
    const unanswered = sentAt.slice(answeredAt.length)
    t.ok(unanswered.length <= 1)
    for (const time of unanswered) t.ok(time > (noticedAt as number) - 2 * slowest, 'what was begun is answered')
  }
}
