import t from 'tap'
import { framePayloads } from '../../lib/protocol/frame.ts'
import { bytesFraming, eventFraming, lineFraming, webSocketFraming } from '../../lib/protocol/framing.ts'

t.test('a text is a text frame, bytes are a binary frame', async (t) => {
  const { frame, wrap } = webSocketFraming
  const stream = Buffer.concat([frame('é'), frame(Buffer.from([1, 2])), wrap('<', Buffer.from('x'), '>')])
  t.same(
    Array.from(framePayloads(stream), ({ payload, binary }) => [payload.toString('latin1'), binary]),
    [
      ['\xc3\xa9', false],
      ['\x01\x02', true],
      ['<x>', false]
    ]
  )
})

t.test('each text is a line, or an event, and a payload never ends it', async (t) => {
  const spaced = Buffer.from('{"a":\r\n1}')
  t.equal(lineFraming.frame('a\nb').toString(), 'a\nb\n')
  t.equal(lineFraming.wrap('<', Buffer.from('é'), '>').toString(), '<é>\n')
  t.equal(lineFraming.wrap('<', spaced, '>').toString(), '<{"a":  1}>\n')
  t.equal(spaced.toString(), '{"a":\r\n1}', 'others still need it')
  t.equal(eventFraming.frame('a\nb\rc').toString(), 'data: a\ndata: b c\n\n')
  t.equal(eventFraming.wrap('<', Buffer.from('x\ry'), '>').toString(), 'data: <x y>\n\n')
  t.equal(eventFraming.wrap('<', Buffer.from('x\ny'), '>').toString(), 'data: <x y>\n\n')
})

t.test('bytes that begin with their length need no frame', async (t) => {
  const message = Buffer.from([1, 0])
  t.equal(bytesFraming.frame(message), message)
})
