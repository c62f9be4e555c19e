import fc from 'fast-check'
import { Command } from 'ioredis'
import t from 'tap'
import { EncodedCommand, encodeCommand } from '../../../lib/broker/redis/encoded-command.ts'

/** What ioredis itself writes. */
function plain(name: string, args: readonly (string | number | Buffer)[]): Buffer {
  return Buffer.from(new Command(name, [...args]).toWritable({}))
}

t.test('the bytes are those that ioredis writes', async () => {
  const argument = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.integer(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes))
  )
  fc.assert(fc.property(fc.array(argument), (args) => encodeCommand('evalsha', args).equals(plain('evalsha', args))))
})

t.test('how a command reads', async (t) => {
  const command = new EncodedCommand('publish', ['café', Buffer.from([0xff, 0x0d]), 15, ''], ['café'])
  t.equal(
    command.toWritable().toString('latin1'),
    Buffer.from('*5\r\n$7\r\npublish\r\n$5\r\ncafé\r\n$2\r\n?\r\r\n$2\r\n15\r\n$0\r\n\r\n')
      .toString('latin1')
      .replace('?', '\xff')
  )
  t.equal(command.name, 'publish')
  t.strictSame(command.args, ['café'])
})

t.test('a cluster finds the server by the routing arguments', async (t) => {
  const args = ['digest', 4, 'p:{room}:meta', 'p:{room}:stream']
  const command = new EncodedCommand('evalsha', args, ['digest', 1, 'p:{room}:meta'])
  t.strictSame(command.getKeys(), ['p:{room}:meta'])
  t.equal(command.getSlot(), new Command('get', ['{room}']).getSlot())
  t.strictSame(new EncodedCommand('spublish', ['p:{room}', 'x'], ['p:{room}']).getKeys(), ['p:{room}'])
})
