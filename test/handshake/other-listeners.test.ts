import { EventEmitter } from 'node:events'
import type { Server } from 'node:http'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { OtherListeners, type UpgradeListener } from '../../lib/handshake/other-listeners.ts'

/* Who else is asked, and in which order. With real libraries: test/cases/g2-coexistence.test.ts. */

function rig(isShared: boolean) {
  const called: string[] = []
  const server = new EventEmitter() as unknown as Server
  const add = (name: string, act: (stream: PassThrough) => unknown = () => undefined) => {
    const listener: UpgradeListener = (_request, stream) => {
      called.push(name)
      act(stream as PassThrough)
    }
    server.on('upgrade', listener)
    return listener
  }
  const offer = (listener: UpgradeListener, hasRoute: boolean) => {
    called.length = 0
    const stream = Object.assign(new PassThrough(), { bytesWritten: 7 })
    const log = { error: () => called.push('logged') } as never
    const others = new OtherListeners(server, { listener, isShared, log, upgradeTimeout: 60_000 })
    others.offer({} as never, stream, Buffer.alloc(0), hasRoute, () => called.push('none'))
    stream.destroy()
    return called.slice()
  }
  return { server, add, offer }
}

t.test('ours is none of them, unless the application has routes on it', async (t) => {
  const alone = rig(false)
  const own = alone.add('own')
  t.same(alone.offer(own, true), ['none'])
  alone.add('another')
  t.same(alone.offer(own, true), ['another'])
  const shared = rig(true)
  const theirs = shared.add('theirs')
  t.same(shared.offer(theirs, true), ['theirs'])
  t.same(shared.offer(theirs, false), ['none'], 'it would answer for paths that are nobody’s')
})

t.test('one that puts all through Fastify is last, and not asked if another took it', async (t) => {
  const onUpgradeSocketError = () => undefined
  for (const [how, take] of Object.entries({
    'by nobody': () => undefined,
    'by writing': (stream: PassThrough) => Object.assign(stream, { bytesWritten: 8 }),
    'by ending': (stream: PassThrough) => stream.end(),
    'by cutting': (stream: PassThrough) => stream.destroy(),
    'by a response': (stream: PassThrough) => Object.assign(stream, { _httpMessage: {} })
  })) {
    const { server, add, offer } = rig(false)
    const own = add('own')
    const called: string[] = []
    server.on('upgrade', (_request, stream) => {
      stream.on('error', onUpgradeSocketError)
      called.push('through')
    })
    add('another', take as (stream: PassThrough) => unknown)
    t.same(offer(own, true), ['another'])
    t.same(called, how === 'by nobody' ? ['through'] : [], how)
  }
})

t.test('one that throws is logged, and its connection cut', async (t) => {
  const { add, offer } = rig(false)
  const own = add('own')
  add('bad', () => {
    throw new Error('a fault')
  })
  t.same(offer(own, false), ['bad', 'logged'])
})
