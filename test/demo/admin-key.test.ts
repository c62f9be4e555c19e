import { test } from 'tap'
import { adminAddress, isSameKey } from '../../demo/admin-key.ts'

test('a key is the same as itself, and as no other', async (t) => {
  t.ok(isSameKey('the-key-of-an-administrator', 'the-key-of-an-administrator'))
  for (const other of [
    '',
    'the-key-of-an-administrato',
    'the-key-of-an-administratorr',
    'The-key-of-an-administrator'
  ]) {
    t.notOk(isSameKey(other, 'the-key-of-an-administrator'), other)
  }
})

test('the address has the key in its fragment, which no request holds, and a host that a browser can open', async (t) => {
  t.equal(adminAddress('http://127.0.0.1:3000', 'a-key'), 'http://127.0.0.1:3000/#key=a-key')
  t.equal(adminAddress('http://[::1]:3000', 'a-key'), 'http://[::1]:3000/#key=a-key')
  t.equal(adminAddress('http://0.0.0.0:80', 'a-key'), 'http://127.0.0.1/#key=a-key')
  t.equal(adminAddress('http://[::]:3000', 'a-key'), 'http://127.0.0.1:3000/#key=a-key')
})
