import { test } from 'tap'
import { parseNames, readDepths } from '../../lib/dashboard/depths.ts'
import { buildApp } from '../support/app.ts'
import { insightInto } from './insight.ts'

test('a list of names', async (t) => {
  t.same(parseNames(['a']), ['a'])
  t.same(parseNames(Array(101).fill('a')), undefined)
  for (const value of [undefined, 'a', [5]]) t.equal(parseNames(value), undefined)
})

test('how far channels with a history are', async (t) => {
  const { app } = await buildApp(t, { auth: false }, { jwt: false })
  app.channel('rooms/:room', { history: { size: 2, ttl: 60_000 } })
  app.channel('plain')
  await app.ready()
  for (const value of [1, 2, 3]) await app.realtime.publish('rooms/a', value)
  const depths = await readDepths(insightInto(app), ['rooms/a', 'rooms/b', 'plain', 'unknown'])
  t.match(depths, { 'rooms/a': { offset: 3, size: 2, epoch: /./ }, 'rooms/b': { offset: 0, size: 0 } })
  t.same(Object.keys(depths).sort(), ['rooms/a', 'rooms/b'])
})
