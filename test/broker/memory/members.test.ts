import t from 'tap'
import { MemoryMembers } from '../../../lib/broker/memory/members.ts'

t.test('members are listed until their time is over, and longer where they are set again', async (t) => {
  const members = new MemoryMembers<string>()
  members.set('room', 'a', 'first', 100)
  members.set('room', 'b', 'other', 200)
  members.set('hall', 'a', 'elsewhere', 300)
  t.strictSame([...members.list('room', 99)].sort(), [
    ['a', 'first'],
    ['b', 'other']
  ])
  t.strictSame([...members.list('room', 100).keys()], ['b'], 'not a moment longer')
  members.set('room', 'a', 'again', 400)
  t.strictSame([...members.list('room', 200)], [['a', 'again']])
  t.equal(members.list('nowhere', 0).size, 0)
})

t.test('deleting one leaves the others', async (t) => {
  const members = new MemoryMembers<true>()
  for (const id of ['a', 'b']) members.set('room', id, true, 100)
  members.delete('room', 'a')
  members.delete('room', 'a')
  members.delete('room', 'never')
  members.delete('nowhere', 'a')
  t.strictSame([...members.list('room', 0).keys()], ['b'])
  t.equal(members.size, 1)
  members.delete('room', 'b')
  t.equal(members.size, 0, 'a group without members is none')
})

t.test('a sweep drops whose time is over, and groups that are empty then', async (t) => {
  const members = new MemoryMembers<true>()
  members.set('room', 'a', true, 100)
  members.set('room', 'b', true, 200)
  members.set('hall', 'a', true, 100)
  members.sweep(100)
  t.equal(members.size, 1)
  t.strictSame([...members.list('room', 0).keys()], ['b'], 'it is gone, not just hidden')
})
