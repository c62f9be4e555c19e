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
    return capacity.take(stream as unknown as Duplex, address) ? stream : undefined
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
