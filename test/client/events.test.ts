import t from 'tap'
import { Listeners } from '../../lib/client/events.ts'
import { pass, standStill } from './rig.ts'

t.test('listeners get their events, in the order in which they were added', async (t) => {
  const listeners = new Listeners()
  const got: unknown[] = []
  const off = listeners.add('a', (value) => got.push(['first', value]))
  listeners.add('a', (value) => got.push(['second', value]))
  listeners.emit('a', 1)
  listeners.emit('b', 2)
  off()
  off()
  listeners.emit('a', 3)
  t.same(got, [
    ['first', 1],
    ['second', 1],
    ['second', 3]
  ])
})

t.test(
  'one that is removed by another still gets this event, and one that throws keeps no other from it',
  async (t) => {
    standStill(t)
    const listeners = new Listeners()
    const got: unknown[] = []
    listeners.add('a', () => {
      off()
      throw new Error('of the application')
    })
    const off = listeners.add('a', (value) => got.push(value))
    listeners.emit('a', 1)
    listeners.emit('a', 2)
    t.same(got, [1])
    t.throws(() => pass(0), { message: 'of the application' })
  }
)
