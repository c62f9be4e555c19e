import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RedisProbe } from '../../../lib/broker/redis/probe.ts'
import { fakeTimers } from '../../support/timers.ts'

const INTERVAL = 1_000
// The maximum interval, and the time after which a probe is lost.
const LONGEST = INTERVAL * 1.1
const LOST = INTERVAL / 4

function rig(t: Test, topic = 'own') {
  const { pass } = fakeTimers(t)
  const sent: [topic: string, message: string][] = []
  const own: { topic: string | undefined } = { topic }
  const state = { ...own, unresponsive: 0, receives: true, received: 0, sends: async () => {} }
  const probe = new RedisProbe({
    interval: INTERVAL,
    topic: () => state.topic,
    send: async (topic, message) => {
      sent.push([topic, message])
      await state.sends()
      if (state.receives) probe.receive(message)
    },
    bytesReceived: () => state.received,
    unresponsive: () => {
      state.unresponsive++
    }
  })
  const running = probe.run()
  t.teardown(() => probe.stop())
  return { probe, running, sent, state, pass }
}

t.test('a subscriber that receives its probes is left alone', async (t) => {
  const { sent, state, pass } = rig(t)
  await pass(INTERVAL * 0.9 - 1)
  t.strictSame(sent, [], 'not before its time')
  for (let n = 1; n <= 3; n++) {
    await pass(LONGEST)
    await pass(0)
    t.strictSame(sent.splice(0), [['own', `${n}`]], 'one probe an interval, each another')
  }
  t.equal(state.unresponsive, 0)
})

t.test('a subscriber that receives nothing is unresponsive after two probes, within the next interval', async (t) => {
  const { sent, state, pass } = rig(t)
  state.receives = false
  await pass(LONGEST)
  t.equal(sent.length, 1)
  await pass(LOST - 1)
  t.equal(sent.length, 1, 'it is waited for')
  await pass(1)
  t.equal(sent.length, 2, 'and asked again at once')
  t.equal(state.unresponsive, 0)
  await pass(LOST)
  t.equal(state.unresponsive, 1)
  await pass(LONGEST)
  t.equal(sent.length, 3, 'and it goes on')
})

t.test('one probe that was lost is none', async (t) => {
  const { probe, sent, state, pass } = rig(t)
  state.receives = false
  await pass(LONGEST)
  state.receives = true
  await pass(LOST)
  t.equal(sent.length, 2)
  t.equal(state.unresponsive, 0)
  state.receives = false
  await pass(LONGEST)
  probe.receive('2')
  await pass(LOST)
  t.equal(sent.length, 4, 'one that comes late is not the answer to the next')
  probe.receive('4')
  await pass(LOST)
  t.equal(state.unresponsive, 0)
})

t.test('case 136: while data is received, a subscriber is not unresponsive; but not for ever', async (t) => {
  const { sent, state, pass } = rig(t)
  state.receives = false
  state.sends = async () => {
    state.received += 1_000
  }
  while (sent.length < 4) {
    await pass(LONGEST)
    await pass(LOST)
  }
  t.equal(sent.length, 4, 'none is followed by another at once')
  t.equal(state.unresponsive, 0)
  await pass(LONGEST)
  await pass(LOST)
  await pass(LOST)
  t.equal(state.unresponsive, 1)
})

t.test('what can’t be sent says nothing about the subscriber', async (t) => {
  const { sent, state, pass } = rig(t)
  state.receives = false
  state.sends = () => Promise.reject(new Error('away'))
  for (let n = 1; n <= 3; n++) {
    await pass(LONGEST)
    await pass(LOST)
    t.equal(sent.length, n)
  }
  t.equal(state.unresponsive, 0)
})

t.test('a channel that is no longer listened to is not missed', async (t) => {
  const { sent, state, pass } = rig(t, 'old')
  state.receives = false
  await pass(LONGEST)
  state.topic = 'new'
  state.receives = true
  await pass(LOST)
  t.strictSame(sent.splice(0), [
    ['old', '1'],
    ['new', '2']
  ])
  await pass(LOST)
  t.equal(state.unresponsive, 0)
})

t.test('without a subscriber there is nothing to probe', async (t) => {
  const { sent, state, pass } = rig(t)
  state.topic = undefined
  await pass(LONGEST)
  await pass(LOST)
  t.strictSame(sent, [])
  t.equal(state.unresponsive, 0)
  state.topic = 'own'
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
    state.receives = false
    await pass(LONGEST)
    t.equal(sent.length, 1)
    probe.stop()
    await running
    await nextTurn()
    t.equal(sent.length, 1)
    t.equal(state.unresponsive, 0)
  })
})
