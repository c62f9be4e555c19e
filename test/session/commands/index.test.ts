import t from 'tap'
import { parseCommand } from '../../../lib/protocol/commands.ts'
import { COMMANDS } from '../../../lib/session/commands/index.ts'
import type { SessionServices } from '../../../lib/session/services.ts'
import { pending } from '../../support/pending.ts'
import { sessionRig } from '../session-rig.ts'

const services = { maxCalls: 7 } as SessionServices

function lane(command: object) {
  const parsed = parseCommand({ id: 1, ...command })
  if (typeof parsed === 'string') throw new Error(`Not a command: ${JSON.stringify(command)}`)
  return COMMANDS.laneOf(parsed, services)
}

t.test('what concerns a channel waits for what concerned it before', async (t) => {
  const channel = 'rooms/1'
  for (const name of ['subscribe', 'unsubscribe', 'publish', 'presence', 'presence_stats', 'history', 'sub_refresh']) {
    t.same(lane({ [name]: { channel } }), { name: channel, concurrency: 1, pipelined: name === 'publish' }, name)
  }
})

t.test('calls run beside each other, up to a bound; other commands by kind', async (t) => {
  t.equal(lane({ rpc: { method: 'a' } }).concurrency, 7)
  const lanes = [{ rpc: {} }, { send: {} }, { ping: {} }, { connect: {} }, { refresh: { token: 'x' } }].map(lane)
  t.equal(new Set(lanes.map(({ name }) => name)).size, lanes.length)
  for (const { concurrency } of lanes.slice(1)) t.equal(concurrency, 1)
  t.not(lane({ rpc: {} }).name, lane({ publish: { channel: 'rpc' } }).name, 'no channel is called what a lane is')
})

t.test('a slow answer holds up its own channel and no other', async (t) => {
  const rig = await sessionRig(t, { maxCalls: 2 })
  const [slow, first, second] = [pending(), pending(), pending()]
  rig.channel('slow', { onSubscribe: () => slow.promise, onPublish: () => undefined })
  rig.channel('quick')
  const answers = [first, second]
  rig.methods.set('wait', { handler: () => answers.shift()?.promise })
  const client = await rig.client()
  client.say(
    { id: 1, subscribe: { channel: 'slow' } },
    { id: 2, publish: { channel: 'slow', data: 1 } },
    { id: 3, rpc: { method: 'wait' } },
    { id: 4, rpc: { method: 'wait' } },
    { id: 5, rpc: { method: 'wait' } },
    { id: 6, subscribe: { channel: 'quick' } },
    { id: 7, ping: {} }
  )
  const ids = async () => (await client.heard()).map(({ id }) => id)
  t.same((await ids()).sort(), [6, 7])
  second.resolve()
  t.same(await ids(), [4, 5], 'the third call begins when one of the two has ended')
  slow.resolve()
  const lines = await client.heard()
  t.same(
    lines.flatMap(({ id = [] }) => id),
    [1, 2]
  )
  t.equal(lines.length, 3, 'and what is published then reaches who was subscribed before')
  first.resolve()
  t.same(await ids(), [3])
})
