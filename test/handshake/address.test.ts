import t from 'tap'
import { addressKey } from '../../lib/handshake/address.ts'

t.test('case 125: an IPv4 address is one, however it is written', async (t) => {
  const spellings = [
    '192.0.2.1',
    '::ffff:192.0.2.1',
    '::FFFF:192.0.2.1',
    '::ffff:c000:201',
    '0:0:0:0:0:ffff:c000:0201',
    '0000:0000:0000:0000:0000:ffff:192.0.2.1',
    '64:ff9b::192.0.2.1',
    '64:ff9b::c000:201'
  ]
  for (const address of spellings) t.equal(addressKey(address), '192.0.2.1', address)
  t.equal(addressKey('::ffff:255.0.0.255'), '255.0.0.255')
  t.not(addressKey('::ffff:192.0.2.2'), addressKey('192.0.2.1'), 'each is its own')
})

t.test('case 125: an IPv6 /64 is one address', async (t) => {
  const network = [
    '2001:db8:1:2::',
    '2001:db8:1:2::1',
    '2001:0DB8:0001:0002:ffff:ffff:ffff:ffff',
    '2001:db8:1:2:3:4:192.0.2.1',
    '2001:db8:1:2::1%eth0'
  ]
  for (const address of network) t.equal(addressKey(address), '2001:db8:1:2::/64', address)
  for (const address of ['2001:db8:1:3::1', '2001:db8:1::2', '2001:db8::1:2', '::1', 'fe80::1%eth0', '64:ff9b:1::1']) {
    t.not(addressKey(address), '2001:db8:1:2::/64', address)
  }
  t.equal(addressKey('::'), addressKey('::1'))
  t.equal(addressKey('1::'), '1:0:0:0::/64')
})

t.test('case 125: the port that a proxy reports with an address does not count', async (t) => {
  for (const port of ['1', '49152', '65535']) t.equal(addressKey(`192.0.2.1:${port}`), '192.0.2.1')
  for (const address of ['[2001:db8:1:2::1]', '[2001:db8:1:2::9]:443', '[2001:db8:1:2::9]:49152']) {
    t.equal(addressKey(address), '2001:db8:1:2::/64', address)
  }
  t.equal(addressKey('[::ffff:192.0.2.1]:80'), '192.0.2.1')
})

t.test('what is no IPv6 address counts as it stands', async (t) => {
  for (const address of ['10.0.0.1', 'unknown', '', 'a:b', '_hidden']) t.equal(addressKey(address), address)
})
