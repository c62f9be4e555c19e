import t from 'tap'
import type { Connection } from '../../lib/connection/connection.ts'
import { Registry } from '../../lib/connection/registry.ts'

const socketOf = (id: string, sub?: string) => ({ id, user: sub === undefined ? null : { sub } }) as Connection

const ids = (sockets: Iterable<Connection>) => [...sockets].map(({ id }) => id)

t.test('connections are found by id and by user', async (t) => {
  const registry = new Registry()
  for (const socket of [socketOf('1', 'ada'), socketOf('2', 'ada'), socketOf('3', 'bob'), socketOf('4')]) {
    registry.add(socket)
  }
  t.equal(registry.size, 4)
  t.same(ids(registry), ['1', '2', '3', '4'])
  t.same(ids(registry.find({ user: 'ada' })), ['1', '2'])
  t.same(ids(registry.find({ connection: '3' })), ['3'])
  t.same(ids(registry.find({ connection: '3', user: 'bob' })), ['3'])
  t.same(ids(registry.find({ connection: '3', user: 'ada' })), [], 'both must fit')
  t.same(ids(registry.find({ connection: '9' })), [])
  t.same(ids(registry.find({ user: 'eve' })), [])
  t.same(ids(registry.find({})), [], 'nobody is everybody')
})

t.test('users are names, not keys of an object', async (t) => {
  const registry = new Registry()
  for (const [id, user] of ['__proto__', 'constructor', 'a:b', 'a'].entries()) registry.add(socketOf(String(id), user))
  t.same(ids(registry.find({ user: '__proto__' })), ['0'])
  t.same(ids(registry.find({ user: 'a' })), ['3'])
  t.same(ids(registry.find({ user: 'toString' })), [])
})

t.test('what is gone is not found, and leaves nothing', async (t) => {
  const registry = new Registry()
  const [first, second, anonymous] = [socketOf('1', 'ada'), socketOf('2', 'ada'), socketOf('3')]
  for (const socket of [first, second, anonymous]) registry.add(socket)
  registry.delete(first)
  registry.delete(first)
  t.same(ids(registry.find({ user: 'ada' })), ['2'])
  registry.delete(second)
  registry.delete(anonymous)
  t.same(ids(registry.find({ user: 'ada' })), [])
  t.equal(registry.size, 0)
})

t.test('a connection whose user is named twice is there once', async (t) => {
  const registry = new Registry()
  const [first, second] = [socketOf('1', 'ada'), socketOf('2', 'ada')]
  registry.add(first)
  registry.identify(first)
  t.same(registry.find({ user: 'ada' }), [first])
  registry.delete(second)
  t.same(registry.find({ user: 'ada' }), [first], 'one that was not added takes nothing with it')
})

t.test('empty() waits for the last to go', async (t) => {
  const registry = new Registry()
  await registry.empty()
  const [first, second] = [socketOf('1'), socketOf('2')]
  registry.add(first)
  registry.add(second)
  let empty = 0
  const waits = [1, 2].map(async () => {
    await registry.empty()
    empty++
  })
  registry.delete(first)
  await Promise.resolve()
  t.equal(empty, 0)
  registry.delete(second)
  await Promise.all(waits)
  t.equal(empty, 2)
})
