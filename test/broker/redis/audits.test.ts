import t, { type Test } from 'tap'
import { RedisAudits } from '../../../lib/broker/redis/audits.ts'
import { chance } from '../../support/chance.ts'
import { fakeTimers } from '../../support/timers.ts'

/* Sixteen turns make a period: here of 1,600 ms, so that a turn comes every 100 ms. */

const TURN = 100
const TURNS = 16

function rig(t: Test, period: readonly [number, number] = [TURN * TURNS, TURN * TURNS]) {
  const { pass } = fakeTimers(t)
  const named: string[][] = []
  const audits = new RedisAudits(period, (channels) => named.push([...channels]))
  t.teardown(() => audits.stop())
  return { audits, named, pass }
}

t.test('each channel is named once in a period, and never all at once', async (t) => {
  const { audits, named, pass } = rig(t)
  const channels = Array.from({ length: 200 }, (_, n) => `room ${n}`)
  for (const channel of channels) audits.add(channel)
  audits.start()
  t.strictSame(named, [], 'not at the start')
  for (const period of [1, 2]) {
    for (let turn = 0; turn < TURNS; turn++) await pass(TURN)
    t.strictSame(named.flat().sort(), [...channels].sort(), `period ${period}`)
    t.ok(named.every(({ length }) => length < channels.length / 2))
    named.length = 0
  }
})

t.test('a channel that is gone is not named, one that is added twice is named once', async (t) => {
  const { audits, named, pass } = rig(t)
  for (const channel of ['gone', 'twice', 'twice']) audits.add(channel)
  audits.delete('gone')
  audits.delete('never there')
  t.strictSame([...audits.channels], ['twice'])
  audits.start()
  for (let turn = 0; turn < TURNS; turn++) await pass(TURN)
  t.strictSame(named, [['twice']], 'and nobody is asked for nothing')
})

t.test('a period is as long as it may be, by chance', async (t) => {
  for (const [random, wait] of [
    [0, 1_000 / TURNS],
    [0.5, 1_500 / TURNS]
  ] as const) {
    await t.test(`at ${random}`, async (t) => {
      chance(t, random)
      const { audits, named, pass } = rig(t, [1_000, 2_000])
      audits.add('room')
      audits.start()
      // Which of the sixteen it fell on is by chance too.
      const turns = Math.floor(random * TURNS) + 1
      for (let turn = 1; turn < turns; turn++) await pass(Math.ceil(wait))
      t.strictSame(named, [])
      await pass(Math.floor(wait) - 1)
      t.strictSame(named, [], 'not before its time')
      await pass(2)
      t.strictSame(named, [['room']])
    })
  }
})

t.test('nothing is named once it is stopped', async (t) => {
  const { audits, named, pass } = rig(t)
  audits.add('room')
  audits.start()
  audits.stop()
  for (let turn = 0; turn < TURNS; turn++) await pass(TURN)
  t.strictSame(named, [])
})
