import t from 'tap'
import { framePayloads } from '../../lib/protocol/frame.ts'
import { webSocketFraming } from '../../lib/protocol/framing.ts'

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
