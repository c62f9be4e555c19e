import t from 'tap'
import { UNSUBSCRIBE } from '../../lib/protocol/disconnect-codes.ts'
import { openSubscription } from '../../lib/session/commands/prepared-subscription.ts'
import { sessionRig } from './session-rig.ts'

async function rig(t: { teardown(fn: () => unknown): void }) {
  const rig = await sessionRig(t)
  const ends: unknown[] = []
  rig.channel('rooms/:room', { onUnsubscribe: ({ params, code }) => ends.push([params.room, code]) })
  const client = await rig.client()
  const open = (channel: string) => openSubscription(client.session, channel, false)
  return { ...rig, client, ends, open }
}

t.test('a subscription of which the client knows nothing ends without a word', async (t) => {
  const { client, ends, open } = await rig(t)
  const subscription = open('rooms/1')
  t.match(subscription, { channel: 'rooms/1', params: { room: '1' }, byServer: false, live: false, isActive: true })
  subscription.end(UNSUBSCRIBE.byServer)
  t.equal(subscription.isActive, false)
  t.same(client.session.channels, [])
  t.same(await client.heard(), [])
  t.same(ends, [])
})

t.test('one that is live ends once, for its client and for the application', async (t) => {
  const { client, ends, open } = await rig(t)
  const [first, second] = [open('rooms/1'), open('rooms/2')]
  for (const subscription of [first, second]) subscription.live = true
  first.end(UNSUBSCRIBE.byServer)
  first.drop(UNSUBSCRIBE.byClient)
  first.end(UNSUBSCRIBE.byServer)
  second.drop(UNSUBSCRIBE.byClient)
  t.same(await client.heard(), [{ push: { channel: 'rooms/1', unsubscribe: UNSUBSCRIBE.byServer } }])
  t.same(ends, [
    ['1', UNSUBSCRIBE.byServer.code],
    ['2', UNSUBSCRIBE.byClient.code]
  ])
})

t.test('it does not end another subscription to its channel', async (t) => {
  const { client, open } = await rig(t)
  const former = open('rooms/1')
  former.drop(UNSUBSCRIBE.byClient)
  const present = open('rooms/1')
  former.drop(UNSUBSCRIBE.byServer)
  t.equal(former.isActive, false)
  t.equal(present.isActive, true)
  t.same(client.session.channels, ['rooms/1'])
})

t.test('it expires once', async (t) => {
  const { client, clock, wheel, ends, open } = await rig(t)
  const subscription = open('rooms/1')
  subscription.live = true
  wheel.set(subscription, wheel.now() + 2_000)
  clock.advance(1_900)
  t.equal(subscription.isActive, true)
  clock.advance(200)
  t.equal(subscription.isActive, false)
  clock.advance(600_000)
  t.same(await client.heard(), [{ push: { channel: 'rooms/1', unsubscribe: UNSUBSCRIBE.expired } }])
  t.same(ends, [['1', UNSUBSCRIBE.expired.code]])
  t.equal(wheel.size, 0)
})
