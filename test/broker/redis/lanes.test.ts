import t from 'tap'
import type { HistoryPolicy } from '../../../lib/broker/broker.ts'
import { type QueuedCall, RedisLanes } from '../../../lib/broker/redis/lanes.ts'
import type { PublishReply } from '../../../lib/broker/redis/scripts.ts'
import { pending } from '../../support/pending.ts'

const KEEP = { size: 10, ttl: 1_000 }

function rig(maxPending = 1_000) {
  const sent: string[] = []
  const answers: { resolve(replies: readonly PublishReply[]): void; reject(error: Error): void }[] = []
  const lanes = new RedisLanes({
    maxPending,
    send: (channel, messages) => {
      sent.push(`${channel}: ${messages.map(({ data }) => data.toString().slice(0, 9)).join(' ')}`)
      const answer = pending<readonly PublishReply[]>()
      answers.push(answer)
      return answer.promise
    }
  })
  const publish = (channel: string, data: string, history: HistoryPolicy | undefined = KEEP) => {
    const message: QueuedCall = { data: Buffer.from(data), history, keyTtl: 0 }
    return lanes.publish(channel, message)
  }
  return { lanes, sent, answers, publish }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const added = (...offsets: number[]): PublishReply[] => offsets.map((offset) => [0, offset, 'e'])

t.test('publishes of one turn leave together, and what comes meanwhile waits for the answer', async (t) => {
  const { lanes, sent, answers, publish } = rig()
  const first = [publish('a', '1'), publish('a', '2'), publish('b', '3')]
  t.strictSame(sent, [])
  await turn()
  t.strictSame(sent.splice(0), ['a: 1 2', 'b: 3'], 'channels do not wait for each other')
  const later = [publish('a', '4'), publish('a', '5')]
  await turn()
  t.strictSame(sent, [])
  t.equal(lanes.has('a'), true)
  answers[1]?.resolve(added(1))
  answers[0]?.resolve(added(1, 2))
  t.strictSame(
    await Promise.all(first),
    [1, 2, 1].map((offset) => ({ offset, epoch: 'e', duplicate: false }))
  )
  t.strictSame(sent, ['a: 4 5'])
  answers[2]?.resolve([
    [1, 1, 'd'],
    [0, 3, 'e']
  ])
  t.strictSame(await Promise.all(later), [
    { offset: 1, epoch: 'd', duplicate: true },
    { offset: 3, epoch: 'e', duplicate: false }
  ])
  t.equal(lanes.has('a'), false)
})

t.test('each gets its own answer', async (t) => {
  const { answers, publish } = rig()
  const results = Promise.allSettled([publish('a', '1'), publish('a', '2'), publish('a', '3')])
  await turn()
  answers[0]?.resolve([
    [2, 0, ''],
    [0, 7, 'e'],
    [3, 8, 'e']
  ])
  t.match(await results, [
    { reason: { code: 'FST_RT_CONFLICT' } },
    { value: { offset: 7 } },
    { reason: { code: 'FST_RT_UNKNOWN_OUTCOME' } }
  ])
})

t.test('a command that fails fails for all that it took along, and for no other', async (t) => {
  const { sent, answers, publish } = rig()
  const results = Promise.allSettled([publish('a', '1'), publish('a', '2')])
  await turn()
  const next = publish('a', '3')
  answers[0]?.reject(new Error('refused'))
  t.match(await results, [{ reason: { message: 'refused' } }, { reason: { message: 'refused' } }])
  t.strictSame(sent, ['a: 1 2', 'a: 3'])
  answers[1]?.resolve(added(1))
  t.match(await next, { offset: 1 })
})

t.test('one command takes so many messages, so many bytes and one policy', async (t) => {
  const { sent, answers, publish } = rig()
  const results: Promise<unknown>[] = []
  for (let n = 0; n < 70; n++) results.push(publish('many', `${n}`))
  const large = 'x'.repeat(200_000)
  for (let n = 0; n < 3; n++) results.push(publish('large', large))
  results.push(publish('huge', 'y'.repeat(600_000)), publish('huge', 'z'))
  const policies = [KEEP, KEEP, { ...KEEP, maxBytes: 1_024 }, { size: 10, ttl: 2_000 }, undefined, { ...KEEP, size: 9 }]
  for (const [n, policy] of policies.entries()) {
    if (policy === undefined) results.push(publish('mixed', `${n}`, null as never))
    else results.push(publish('mixed', `${n}`, policy))
  }
  await turn()
  for (let at = 0; at < answers.length; at++) {
    const count = (sent[at] as string).split(' ').length - 1
    answers[at]?.resolve(added(...Array.from({ length: count }, (_, n) => n)))
    await new Promise(setImmediate)
  }
  await Promise.all(results)
  const lengths = (channel: string) =>
    sent.filter((each) => each.startsWith(channel)).map((each) => each.split(' ').length - 1)
  t.strictSame(lengths('many'), [64, 6])
  t.strictSame(lengths('large'), [1, 1, 1])
  t.strictSame(lengths('huge'), [1, 1])
  t.strictSame(
    sent.filter((each) => each.startsWith('mixed')),
    ['mixed: 0 1', 'mixed: 2', 'mixed: 3', 'mixed: 4', 'mixed: 5']
  )
})

t.test('so many wait, and no more', async (t) => {
  const { answers, publish } = rig(2)
  const two = [publish('a', '1'), publish('b', '2')]
  await t.rejects(publish('c', '3'), { code: 'FST_RT_UNAVAILABLE' })
  await turn()
  answers[0]?.resolve(added(1))
  await two[0]
  const third = publish('c', '4')
  await turn()
  answers[1]?.resolve(added(1))
  answers[2]?.resolve(added(1))
  await Promise.all([...two, third])
})
