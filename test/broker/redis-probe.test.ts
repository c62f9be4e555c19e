import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RedisProbe, type SlotRange, tagsByServer } from '../../lib/broker/redis-probe.ts'
import { redisSlot } from '../../lib/broker/redis-slot.ts'
import { fakeTimers } from '../support/timers.ts'

const INTERVAL = 1_000
// The longest that an interval may be, and after how long a probe is unheard.
const LONGEST = INTERVAL * 1.1
const UNHEARD = INTERVAL / 4

function rig(t: Test, wires: readonly string[] = ['own']) {
  const { pass } = fakeTimers(t)
  const sent: [wire: string, message: string][] = []
  const state = { wires, deaf: 0, hears: true, received: 0, sends: async () => {} }
  const probe = new RedisProbe({
    interval: INTERVAL,
    wires: () => state.wires,
    send: async (wire, message) => {
      sent.push([wire, message])
      await state.sends()
      if (state.hears) probe.heard(wire, message)
    },
    received: () => state.received,
    deaf: () => {
      state.deaf++
    }
  })
  const running = probe.run()
  t.teardown(() => probe.stop())
  return { probe, running, sent, state, pass }
}

t.test('a subscriber that hears is left alone', async (t) => {
  const { sent, state, pass } = rig(t)
  await pass(INTERVAL * 0.9 - 1)
  t.strictSame(sent, [], 'not before its time')
  for (let n = 1; n <= 3; n++) {
    await pass(LONGEST)
    await pass(0)
    t.strictSame(sent.splice(0), [['own', `${n}`]], 'one probe an interval, each another')
  }
  t.equal(state.deaf, 0)
})

t.test('one that hears nothing is deaf after two probes on end, within the next interval', async (t) => {
  const { sent, state, pass } = rig(t)
  state.hears = false
  await pass(LONGEST)
  t.equal(sent.length, 1)
  await pass(UNHEARD - 1)
  t.equal(sent.length, 1, 'it is waited for')
  await pass(1)
  t.equal(sent.length, 2, 'and asked again at once')
  t.equal(state.deaf, 0)
  await pass(UNHEARD)
  t.equal(state.deaf, 1)
  await pass(LONGEST)
  t.equal(sent.length, 3, 'and it goes on')
})

t.test('one probe that was lost is none', async (t) => {
  const { probe, sent, state, pass } = rig(t)
  state.hears = false
  await pass(LONGEST)
  state.hears = true
  await pass(UNHEARD)
  t.equal(sent.length, 2)
  t.equal(state.deaf, 0)
  state.hears = false
  await pass(LONGEST)
  probe.heard('own', '2')
  probe.heard('another', '3')
  await pass(UNHEARD)
  t.equal(sent.length, 4, 'one that comes late is not the answer to the next')
  probe.heard('own', '4')
  await pass(UNHEARD)
  t.equal(state.deaf, 0)
})

t.test('case 136: while something large is on its way, it is not deaf; but not for ever', async (t) => {
  const { sent, state, pass } = rig(t)
  state.hears = false
  state.sends = async () => {
    state.received += 1_000
  }
  while (sent.length < 4) {
    await pass(LONGEST)
    await pass(UNHEARD)
  }
  t.equal(sent.length, 4, 'none is followed by another at once')
  t.equal(state.deaf, 0)
  await pass(LONGEST)
  await pass(UNHEARD)
  await pass(UNHEARD)
  t.equal(state.deaf, 1)
})

t.test('what can’t be sent says nothing about the subscriber', async (t) => {
  const { sent, state, pass } = rig(t)
  state.hears = false
  state.sends = () => Promise.reject(new Error('away'))
  for (let n = 1; n <= 3; n++) {
    await pass(LONGEST)
    await pass(UNHEARD)
    t.equal(sent.length, n)
  }
  t.equal(state.deaf, 0)
})

t.test('every connection that listens must hear', async (t) => {
  const { probe, sent, state, pass } = rig(t, ['one', 'other'])
  state.hears = false
  await pass(LONGEST)
  t.strictSame(sent.splice(0), [
    ['one', '1'],
    ['other', '1']
  ])
  probe.heard('one', '1')
  await pass(UNHEARD)
  t.equal(sent.length, 2, 'the other did not')
  probe.heard('other', '2')
  await pass(UNHEARD)
  t.equal(state.deaf, 1)
})

t.test('a channel that is no longer listened to is not missed', async (t) => {
  const { sent, state, pass } = rig(t, ['old'])
  state.hears = false
  await pass(LONGEST)
  state.wires = ['new']
  state.hears = true
  await pass(UNHEARD)
  t.strictSame(sent.splice(0), [
    ['old', '1'],
    ['new', '2']
  ])
  await pass(UNHEARD)
  t.equal(state.deaf, 0)
})

t.test('without a subscriber there is nothing to probe', async (t) => {
  const { sent, state, pass } = rig(t, [])
  await pass(LONGEST)
  await pass(UNHEARD)
  t.strictSame(sent, [])
  t.equal(state.deaf, 0)
  state.wires = ['own']
  await pass(LONGEST)
  t.equal(sent.length, 1)
})

t.test('once it is stopped it is silent', async (t) => {
  await t.test('between two probes', async (t) => {
    const { probe, running, sent, pass } = rig(t)
    probe.stop()
    await running
    await pass(LONGEST)
    t.strictSame(sent, [])
  })
  await t.test('while it waits to hear one', async (t) => {
    const { probe, running, sent, state, pass } = rig(t)
    state.hears = false
    await pass(LONGEST)
    t.equal(sent.length, 1)
    probe.stop()
    await running
    await nextTurn()
    t.equal(sent.length, 1)
    t.equal(state.deaf, 0)
  })
})

t.test('each server of a cluster gets a tag in a slot of its own', async (t) => {
  const [a, b, c] = [
    ['10.0.0.1', 6379],
    ['10.0.0.2', 6379],
    ['10.0.0.1', 6380]
  ] as const
  const ranges: SlotRange[] = [
    [0, 99, a],
    [100, 8_191, b],
    [8_192, 16_382, a],
    [16_383, 16_383, c]
  ]
  const tags = tagsByServer(ranges, redisSlot)
  const serverOf = (slot: number) => ranges.find(([first, last]) => first <= slot && slot <= last)?.[2]
  t.same(new Set(tags.map((tag) => serverOf(redisSlot(tag)))), new Set([a, b, c]), 'one with a single slot too')
  t.equal(tags.length, 3)
  t.strictSame(tagsByServer([], redisSlot), [])
})

t.test('a server whose slots no tag falls on is passed over, not waited for', async (t) => {
  const slotOf = (tag: string) => Number(tag) % 100
  const ranges: SlotRange[] = [
    [50, 60, ['a', 1]],
    [100, 200, ['b', 1]]
  ]
  t.strictSame(tagsByServer(ranges, slotOf), ['50'])
})
