import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RedisProbe } from '../../../lib/broker/redis/probe.ts'
import { fakeTimers } from '../../support/timers.ts'

const INTERVAL = 1_000
// The longest that an interval may be, and after how long a probe is unheard.
const LONGEST = INTERVAL * 1.1
const UNHEARD = INTERVAL / 4

function rig(t: Test, wire = 'own') {
  const { pass } = fakeTimers(t)
  const sent: [wire: string, message: string][] = []
  const own: { wire: string | undefined } = { wire }
  const state = { ...own, deaf: 0, hears: true, received: 0, sends: async () => {} }
  const probe = new RedisProbe({
    interval: INTERVAL,
    wire: () => state.wire,
    send: async (wire, message) => {
      sent.push([wire, message])
      await state.sends()
      if (state.hears) probe.heard(message)
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
  probe.heard('2')
  await pass(UNHEARD)
  t.equal(sent.length, 4, 'one that comes late is not the answer to the next')
  probe.heard('4')
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

t.test('a channel that is no longer listened to is not missed', async (t) => {
  const { sent, state, pass } = rig(t, 'old')
  state.hears = false
  await pass(LONGEST)
  state.wire = 'new'
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
  const { sent, state, pass } = rig(t)
  state.wire = undefined
  await pass(LONGEST)
  await pass(UNHEARD)
  t.strictSame(sent, [])
  t.equal(state.deaf, 0)
  state.wire = 'own'
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
