import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import t from 'tap'
import { Capacity } from '../../lib/handshake/capacity.ts'

const NONE = Number.POSITIVE_INFINITY

function rig(limits: { total?: number; perAddress?: number }) {
  const capacity = new Capacity({ total: NONE, perAddress: NONE, ...limits })
  /** Takes a slot, and gives the stream that holds it; undefined where there was none. */
  const take = (address: string | undefined) => {
    const stream = new EventEmitter()
    return capacity.take(stream as unknown as Duplex, { ip: address }) === undefined ? stream : undefined
  }
  return { take }
}

t.test('so many in total, each slot free again with its connection’s end', async (t) => {
  const { take } = rig({ total: 2 })
  const [first, second] = [take('a'), take('b')]
  t.ok(first && second)
  t.notOk(take('c'))
  first?.emit('close')
  t.ok(take('c'))
  t.notOk(take('a'))
})

t.test('so many of one address', async (t) => {
  const { take } = rig({ perAddress: 2 })
  const first = take('a')
  const second = take('a')
  t.notOk(take('a'))
  t.ok(take('b'))
  first?.emit('close')
  const third = take('a')
  t.ok(third)
  t.notOk(take('a'))
  for (const stream of [second, third]) stream?.emit('close')
  t.ok(take('a') && take('a'), 'both are free again')
  t.notOk(take('a'))
})

t.test('what is refused takes nothing', async (t) => {
  const { take } = rig({ total: 2, perAddress: 1 })
  t.ok(take('a'))
  for (let n = 0; n < 5; n++) t.notOk(take('a'))
  t.ok(take('b'), 'in total there is one')
})

t.test('a connection without an address counts in total alone', async (t) => {
  const { take } = rig({ total: 3, perAddress: 1 })
  const streams = [take(undefined), take(undefined), take(undefined)]
  t.ok(streams.every((stream) => stream !== undefined))
  t.notOk(take(undefined))
  streams[0]?.emit('close')
  t.ok(take('a'))
})

t.test('which limit is reached', async (t) => {
  const capacity = new Capacity({ total: 2, perAddress: 1 })
  const take = (ip: string) => capacity.take(new EventEmitter() as unknown as Duplex, { ip })
  t.equal(take('a'), undefined)
  t.equal(take('a'), 'perAddress')
  t.equal(take('b'), undefined)
  t.equal(take('a'), 'total')
})

t.test('an address is looked at only if addresses are counted', async (t) => {
  const request = {
    get ip() {
      return t.fail('behind a proxy that costs as much as the rest of the check') as never
    }
  }
  for (const total of [1, NONE]) {
    const capacity = new Capacity({ total, perAddress: NONE })
    t.equal(capacity.take(new EventEmitter() as unknown as Duplex, request), undefined)
  }
})

t.test('case 125: addresses of one /64 share their slots', async (t) => {
  const { take } = rig({ perAddress: 2 })
  const first = take('2001:db8::1')
  t.ok(first && take('2001:db8::2'))
  t.notOk(take('2001:db8::3'))
  t.ok(take('2001:db8:0:1::1'))
  first?.emit('close')
  t.ok(take('2001:db8::4'))
  t.ok(take('::ffff:192.0.2.1') && take('192.0.2.1'))
  t.notOk(take('192.0.2.1'))
})
