import t from 'tap'
import { framePayloads } from '../../../lib/protocol/frame.ts'
import { jsonOverWebSocket, protobufOverWebSocket } from '../../../lib/session/encodings/client-format.ts'
import { repliesIn } from '../../support/protobuf.ts'

const { publications, publicationsWithJoins, deltas, deltasWithJoins, droppedNotice } = jsonOverWebSocket
const texts = (frame: Buffer | undefined) => [...framePayloads(frame as Buffer)].map(({ payload }) => `${payload}`)

t.test('publications as clients of the channel protocol get them, with the payload as it came', async (t) => {
  const { head, encode } = publications
  const data = Buffer.from('{"z": 1.0}')
  t.same(texts(encode(head('rooms/"1"'), { offset: 3, epoch: 'e', data, info: Buffer.from('{"user":"u"}') })), [
    '{"push":{"channel":"rooms/\\"1\\"","pub":{"data":{"z": 1.0},"offset":3,"info":{"user":"u"}}}}'
  ])
  t.same(texts(encode(head('rooms/"1"'), { offset: 0, epoch: '', data })), [
    '{"push":{"channel":"rooms/\\"1\\"","pub":{"data":{"z": 1.0}}}}'
  ])
})

t.test('who came and who went', async (t) => {
  const info = Buffer.from('{"user":"u","client":"c"}')
  for (const kind of ['join', 'leave'] as const) {
    t.same(texts(publicationsWithJoins.presence?.('room', kind, info)), [
      `{"push":{"channel":"room","${kind}":{"info":{"user":"u","client":"c"}}}}`
    ])
  }
  t.equal(publications.presence, undefined)
})

t.test('a slow reader is told how many publications it lost', async (t) => {
  t.same(texts(droppedNotice(3)), ['{"push":{"message":{"data":{"notice":{"code":"lagging","dropped":3}}}}}'])
})

t.test('for clients that take deltas, the data is a string, whole or a delta', async (t) => {
  const publication = { offset: 3, epoch: 'e', data: Buffer.from('{"z": 1.0}') }
  for (const { head, encode, encodeDelta } of [deltas, deltasWithJoins]) {
    t.same(texts(encode(head('room'), publication)), [
      '{"push":{"channel":"room","pub":{"data":"{\\"z\\": 1.0}","offset":3}}}'
    ])
    t.same(texts(encodeDelta?.(head('room'), publication, Buffer.from('a"\n'))), [
      '{"push":{"channel":"room","pub":{"data":"a\\"\\n","offset":3,"delta":true}}}'
    ])
  }
  t.ok(deltasWithJoins.presence)
  t.equal(deltas.presence, undefined)
})

t.test('Protobuf in binary frames', async (t) => {
  const { publications, publicationsWithJoins, droppedNotice } = protobufOverWebSocket
  const { head, encode } = publications
  const info = Buffer.from('{"user":"u"}')
  const frames = [
    encode(head('a'), { offset: 3, epoch: 'e', data: Buffer.from('1'), info }),
    publicationsWithJoins.presence?.('a', 'join', info) as Buffer,
    droppedNotice(3)
  ]
  const found = [...framePayloads(Buffer.concat(frames))]
  t.same(
    found.map(({ binary }) => binary),
    [true, true, true]
  )
  t.match(
    found.flatMap(({ payload }) => repliesIn(payload)),
    [
      { push: { channel: 'a', pub: { data: '1', offset: 3, info: { user: 'u' } } } },
      { push: { channel: 'a', join: { info: { user: 'u' } } } },
      { push: { message: { data: '{"notice":{"code":"lagging","dropped":3}}' } } }
    ]
  )
})
