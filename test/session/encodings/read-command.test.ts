import t from 'tap'
import { ERROR } from '../../../lib/protocol/channel-errors.ts'
import { jsonEncoding } from '../../../lib/session/encodings/json-encoding.ts'
import { readCommand } from '../../../lib/session/encodings/read-command.ts'
import { FakeConnection } from '../../support/fake-connection.ts'

const MALFORMED = 'malformed'

t.test('a command past the rate is refused by its id; a large one is not parsed for that', async (t) => {
  const taken: number[] = []
  const slow = new FakeConnection()
  slow.intake.takeCommand = (bytes) => taken.push(bytes) < 0
  const readLine = (line: string) => readCommand(line, jsonEncoding, slow)
  const tooMany = (id: number) => ({ id, error: ERROR.tooManyRequests })
  t.same(readLine('{"id":7,"ping":{}}'), tooMany(7))
  t.same(readLine('{"id":7,"rpc":{"data":1e999}}'), tooMany(7))
  t.same(readLine(`{"id":7,"rpc":${'['.repeat(5_000)}`), tooMany(7))
  t.same(taken, [18, 29, 5_014])
  t.same(
    ['{}', '?'].map((line) => readLine(line)),
    ['pong', MALFORMED]
  )
  t.equal(taken.length, 3, 'neither is a command')
})
