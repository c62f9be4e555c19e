import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import type { Broker } from '../../lib/broker/broker.ts'
import { LEASE, Lease, type LeaseOptions } from '../../lib/handshake/lease.ts'
import type { Timed } from '../../lib/timing/timer-wheel.ts'

/* A place of a user, with a broker, a clock and a connection that do as they are told. */

class Connection extends EventEmitter {
  destroyed = false

  end() {
    this.destroyed = true
    this.emit('close')
  }

  destroy() {
    this.end()
  }
}

function setUp() {
  const calls: string[] = []
  const logged: unknown[] = []
  const deadlines = new Map<Timed, number>()
  const connection = new Connection()
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
  const evict = (id: string) => {
    calls.push(`evict ${id}`)
    return open.delete(id)
  }
  const options = { broker: broker as unknown as Broker, wheel, evict } as unknown as LeaseOptions
  const note = (...args: unknown[]) => void logged.push(args)
  const log = { debug: note, info: note } as unknown as FastifyBaseLogger
  const holder = { id: 'c1', stream: connection as unknown as Duplex }
  const lease = new Lease(options, 'user:ada', holder, 3, log)
  return { broker, calls, connection, deadlines, lease, logged, open }
}

const acquired = `acquire user:ada c1 3 ${LEASE.ttl}`
const released = 'release user:ada c1'

t.test('a place is taken, renewed in time, and given back with the connection', async (t) => {
  const { calls, connection, deadlines, lease } = setUp()
  await lease.take()
  t.same(calls, [acquired])
  t.same([...deadlines.values()], [1_000 + LEASE.ttl / 3])
  t.equal(lease.onDue(), 1_000 + LEASE.ttl / 3)
  t.same(calls, [acquired, acquired])
  connection.end()
  t.same(calls, [acquired, acquired, released])
  t.equal(deadlines.size, 0)
})

t.test('no place is left', async (t) => {
  const { broker, deadlines, lease } = setUp()
  broker.answer = async () => false
  await t.rejects(lease.take(), { code: 'FST_RT_USER_CAPACITY', statusCode: 429 })
  t.equal(deadlines.size, 0)
})

t.test('the peer goes while the broker is asked: what was taken is given back', async (t) => {
  const { broker, calls, connection, deadlines, lease } = setUp()
  broker.answer = async () => {
    connection.destroyed = true
    return true
  }
  await lease.take()
  t.same(calls, [acquired, released])
  t.equal(deadlines.size, 0)
})

t.test('without a broker everybody is let in, and nothing is thrown', async (t) => {
  const { broker, calls, connection, lease, logged } = setUp()
  broker.answer = async () => Promise.reject(new Error('away'))
  await lease.take()
  lease.onDue()
  connection.end()
  await new Promise(setImmediate)
  t.same(calls, [acquired, acquired, released])
  t.match(logged, Array(3).fill([{ err: { message: 'away' } }, 'per-user limit not enforced']))
})

t.test('case 162: a place that was lost and is taken ends its connection', async (t) => {
  for (const isOpen of [true, false]) {
    const { broker, calls, connection, deadlines, lease, logged, open } = setUp()
    await lease.take()
    if (!isOpen) open.clear()
    broker.answer = async () => false
    lease.onDue()
    await new Promise(setImmediate)
    t.same(calls.slice(0, 3), [acquired, acquired, 'evict c1'])
    t.equal(connection.destroyed, !isOpen, 'a handshake that is under way is cut')
    t.equal(deadlines.size, 0, 'it is not renewed any more')
    t.match(logged, [[{ connection: 'c1' }, /its place was lost/]])
  }
})
