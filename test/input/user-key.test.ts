import t from 'tap'
import { userKey } from '../../lib/input/user-key.ts'

t.test('one user and one key make one key, and nothing else makes the same', async (t) => {
  t.equal(userKey('ada', 'k'), userKey('ada', 'k'))
  const pairs = [
    ['ada', 'k'],
    ['bob', 'k'],
    ['ada', 'l'],
    ['ad', 'ak'],
    ['', 'adak'],
    [undefined, 'k'],
    ['ada","k', '']
  ] as const
  t.equal(new Set(pairs.map(([user, key]) => userKey(user, key))).size, pairs.length)
  t.match(userKey('a'.repeat(256), 'k'.repeat(255)), /^[\w-]{43}$/, 'it is a key, however long both are')
})
