import fc from 'fast-check'
import { Command, Redis } from 'ioredis'
import t from 'tap'
import { encodeCommand, encodedSender } from '../../../lib/broker/redis/encoded-command.ts'

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

/** A client of which only the commands that it was given are looked at. */
class RecordingClient extends Redis {
  readonly sent: Command[] = []

  override sendCommand(command: Command): unknown {
    this.sent.push(command)
    return command.promise
  }
}

t.test('how a command reads, and what it is answered with', async (t) => {
  const client = new RecordingClient({ lazyConnect: true })
  const send = encodedSender(client)
  const answer = send('publish', ['café', Buffer.from([0xff, 0x0d]), 15, ''], ['café'])
  const [command] = client.sent as [Command]
  const expected = Buffer.from('*5\r\n$7\r\npublish\r\n$5\r\ncafé\r\n$2\r\n??\r\n$2\r\n15\r\n$0\r\n\r\n')
  expected.set([0xff, 0x0d], expected.indexOf('??'))
  t.strictSame(command.toWritable({}), expected)
  t.equal(command.name, 'publish')
  t.strictSame(command.args, ['café'])
  command.resolve([Buffer.from('é'), 1])
  t.strictSame(await answer, ['é', 1])
})

t.test('a cluster finds the server by the routing arguments', async (t) => {
  const client = new RecordingClient({ lazyConnect: true })
  const send = encodedSender(client)
  void send('evalsha', ['digest', 4, 'p:{room}:meta', 'p:{room}:stream'], ['digest', 1, 'p:{room}:meta'])
  void send('spublish', ['p:{room}', 'x'], ['p:{room}'])
  const [script, publish] = client.sent as [Command, Command]
  t.strictSame(script.getKeys(), ['p:{room}:meta'])
  t.equal(script.getSlot(), new Command('get', ['{room}']).getSlot())
  t.strictSame(publish.getKeys(), ['p:{room}'])
  t.equal(script.constructor, publish.constructor)
  const other = new RecordingClient({ lazyConnect: true })
  void encodedSender(other)('ping', [], [])
  t.equal(other.sent[0]?.constructor, script.constructor, 'one class for all clients')
})
