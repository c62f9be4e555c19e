import { EventEmitter } from 'node:events'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import type { Broker } from '../../lib/broker/broker.ts'
import { LEASE, type PlaceHolder, Places, type PlacesOptions } from '../../lib/handshake/places.ts'
import type { Timed } from '../../lib/timing/timer-wheel.ts'

/* Places, with a broker, a clock and connections that do as they are told. */

const NONE = Number.POSITIVE_INFINITY

class Stream extends EventEmitter {
  destroyed = false

  destroy() {
    this.destroyed = true
    this.emit('close')
  }
}

function setUp(limits: Partial<PlacesOptions['limits']>) {
  const calls: string[] = []
  const logged: unknown[] = []
  const deadlines = new Map<Timed, number>()
  const broker = {
    answer: async (): Promise<boolean> => true,
    async acquireLease(key: string, holder: string, limit: number, ttl: number) {
      calls.push(`acquire ${key} ${holder} ${limit} ${ttl}`)
      return this.answer()
    },
    async releaseLease(key: string, holder: string) {
      calls.push(`release ${key} ${holder}`)
      await this.answer()
    }
  }
  const wheel = {
    now: () => 1_000,
    set: (entry: Timed, at: number) => void deadlines.set(entry, at),
    delete: (entry: Timed) => void deadlines.delete(entry)
  }
  const open = new Set(['c1'])
  const places = new Places({
    broker: broker as unknown as Broker,
    wheel: wheel as never,
    limits: { total: NONE, perAddress: NONE, perUser: NONE, ...limits },
    evict: (id) => {
      calls.push(`evict ${id}`)
      return open.delete(id)
    }
  })
  const stream = new Stream()
  const holder: PlaceHolder = { id: 'c1', stream: stream as never }
  const note = (...args: unknown[]) => void logged.push(args)
  const log = { debug: note, info: note } as unknown as FastifyRequest['log']
  /** Takes a place of the user ada. */
  const takeOf = () => places.takeForUser('ada', holder, { log })
  /** Takes a place on this node. Gives the stream that holds it, or the limit that is reached. */
  const take = (ip?: string) => {
    const stream = new Stream()
    try {
      places.take({ id: 'c', stream: stream as never }, { ip } as FastifyRequest)
      return stream
    } catch (error) {
      const { code, cause } = error as { code: string; cause: Error }
      t.equal(code, 'FST_RT_CAPACITY')
      return cause.message
    }
  }
  return { broker, calls, deadlines, logged, open, places, stream, take, takeOf }
}

const full = (limit: string) => `limits.connections.${limit} is reached`

t.test('so many in total, each place free again when its connection ends', async (t) => {
  const { take } = setUp({ total: 2 })
  const [first] = [take('a'), take('b')]
  t.type(first, Stream)
  t.equal(take('c'), full('total'))
  ;(first as Stream).destroy()
  t.type(take('c'), Stream)
  t.equal(take('a'), full('total'))
})

t.test('so many of one address', async (t) => {
  const { take } = setUp({ perAddress: 2 })
  const first = take('a') as Stream
  const second = take('a') as Stream
  t.equal(take('a'), full('perAddress'))
  t.type(take('b'), Stream)
  first.destroy()
  const third = take('a') as Stream
  t.equal(take('a'), full('perAddress'))
  for (const stream of [second, third]) stream.destroy()
  t.type(take('a'), Stream)
  t.type(take('a'), Stream, 'both are free again')
  t.equal(take('a'), full('perAddress'))
})

t.test('a refused connection takes nothing', async (t) => {
  const { take } = setUp({ total: 2, perAddress: 1 })
  t.type(take('a'), Stream)
  for (let n = 0; n < 5; n++) t.equal(take('a'), full('perAddress'))
  t.type(take('b'), Stream, 'in total there is one')
  t.equal(take('a'), full('total'), 'the total is looked at first')
})

t.test('a connection without an address counts in total alone', async (t) => {
  const { take } = setUp({ total: 3, perAddress: 1 })
  const streams = [take(), take(), take()]
  for (const stream of streams) t.type(stream, Stream)
  t.equal(take(), full('total'))
  ;(streams[0] as Stream).destroy()
  t.type(take('a'), Stream)
})

t.test('the address is looked up only if addresses are counted', async (t) => {
  const asked: number[] = []
  for (const limits of [{}, { total: 1 }, { perUser: 1 }, { total: 0, perAddress: 1 }, { perAddress: 1 }]) {
    const { places } = setUp(limits)
    let times = 0
    const request = {
      get ip() {
        times++
        return 'a'
      }
    }
    const holder = { id: 'c', stream: new Stream() as never }
    try {
      places.take(holder, request)
    } catch {
      // Its total is 0.
    }
    asked.push(times)
  }
  t.same(asked, [0, 0, 0, 0, 1], 'behind a proxy it costs as much as all other checks')
})

t.test('case 125: addresses of one /64 share their places', async (t) => {
  const { take } = setUp({ perAddress: 2 })
  const first = take('2001:db8::1')
  t.type(take('2001:db8::2'), Stream)
  t.equal(take('2001:db8::3'), full('perAddress'))
  t.type(take('2001:db8:0:1::1'), Stream)
  ;(first as Stream).destroy()
  t.type(take('2001:db8::4'), Stream)
  t.type(take('::ffff:192.0.2.1'), Stream)
  t.type(take('192.0.2.1'), Stream)
  t.equal(take('192.0.2.1'), full('perAddress'))
})

const acquired = `acquire user:ada c1 3 ${LEASE.ttl}`
const released = 'release user:ada c1'

t.test('without a limit for users the broker is not asked', async (t) => {
  const { calls, stream, takeOf } = setUp({})
  t.equal(takeOf(), undefined)
  stream.destroy()
  t.same(calls, [])
})

t.test('a user’s place is taken, renewed in time, and given back with the connection', async (t) => {
  const { calls, deadlines, stream, takeOf } = setUp({ perUser: 3 })
  await takeOf()
  t.same(calls, [acquired])
  const [[lease, due] = []] = deadlines
  t.equal(due, 1_000 + LEASE.ttl / 3)
  t.equal(lease?.onDue(1_000), 1_000 + LEASE.ttl / 3)
  t.same(calls, [acquired, acquired])
  stream.destroy()
  t.same(calls, [acquired, acquired, released])
  t.equal(deadlines.size, 0)
})

t.test('no place of the user is left', async (t) => {
  const { broker, deadlines, takeOf } = setUp({ perUser: 3 })
  broker.answer = async () => false
  await t.rejects(async () => takeOf(), {
    code: 'FST_RT_USER_CAPACITY',
    statusCode: 429,
    cause: { message: full('perUser') }
  })
  t.equal(deadlines.size, 0)
})

t.test('the peer leaves while the broker is asked: the place is given back', async (t) => {
  const { broker, calls, deadlines, stream, takeOf } = setUp({ perUser: 3 })
  broker.answer = async () => {
    stream.destroyed = true
    return true
  }
  await takeOf()
  t.same(calls, [acquired, released])
  t.equal(deadlines.size, 0)
})

t.test('without a broker everybody is let in, and nothing is thrown', async (t) => {
  const { broker, calls, deadlines, logged, stream, takeOf } = setUp({ perUser: 3 })
  broker.answer = async () => Promise.reject(new Error('away'))
  await takeOf()
  for (const lease of deadlines.keys()) lease.onDue(1_000)
  stream.destroy()
  await new Promise(setImmediate)
  t.same(calls, [acquired, acquired, released])
  t.match(logged, Array(3).fill([{ err: { message: 'away' } }, 'per-user limit not enforced']))
})

t.test('case 162: a place that was lost and is taken ends its connection', async (t) => {
  for (const isOpen of [true, false]) {
    const { broker, calls, deadlines, logged, open, stream, takeOf } = setUp({ perUser: 3 })
    await takeOf()
    if (!isOpen) open.clear()
    broker.answer = async () => false
    for (const lease of deadlines.keys()) lease.onDue(1_000)
    await new Promise(setImmediate)
    t.same(calls.slice(0, 3), [acquired, acquired, 'evict c1'])
    t.equal(stream.destroyed, !isOpen, 'a handshake that is under way is cut')
    t.equal(deadlines.size, 0, 'it is not renewed any more')
    t.match(logged, [[{ connection: 'c1' }, /its user has no free place/]])
  }
})
