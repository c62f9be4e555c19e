import { test } from 'tap'
import {
  compareValues,
  packChannel,
  packConnection,
  unpackChannel,
  unpackConnection
} from '../../lib/dashboard/rows.ts'

test('rows keep their members', async (t) => {
  const connection = {
    id: 'c',
    user: null,
    route: '/r',
    age: 1,
    received: 2,
    sent: 3,
    bytes: 4,
    buffered: 5,
    roundTrip: 6,
    subscriptions: 7,
    channels: ['a']
  }
  t.strictSame(unpackConnection(packConnection(connection)), connection)
  const channel = { name: 'a', subscribers: 1, rate: null, offset: 2, epoch: 'e' }
  t.strictSame(unpackChannel(packChannel(channel)), channel)
})

test('values are compared', async (t) => {
  t.same([compareValues(1, 1), compareValues(1, 2), compareValues('b', 'a')], [0, -1, 1])
})
