import fc from 'fast-check'
import t from 'tap'
import { type ControlMessage, readControlMessage, writeControlMessage } from '../../lib/node/control-message.ts'
import { isChannelName } from '../../lib/protocol/channel-name.ts'

const read = (value: unknown) =>
  readControlMessage(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))
const envelope = { v: 1, node: 'n', id: 'i', target: { user: 'u' } }
const disconnect = { ...envelope, do: 'disconnect', code: 4403, reason: '' }

// As objects that JSON makes.
const PLAIN = { noNullPrototype: true } as const
const id = fc.stringMatching(/^[\w-]{1,64}$/)
const user = fc.string({ maxLength: 256, unit: 'grapheme' })
const channel = fc.string({ minLength: 1, maxLength: 60 }).filter(isChannelName)
const target = fc.oneof(
  fc.record({ user }, PLAIN),
  fc.record({ connection: fc.uuid() }, PLAIN),
  fc.record({ user, connection: fc.uuid() }, PLAIN),
  fc.record({ channel }, PLAIN),
  fc.record({ user, channel }, PLAIN)
)
const code = fc.oneof(fc.constant(1000), fc.integer({ min: 3000, max: 4999 }))
const request = target.chain((target) =>
  fc.oneof(
    fc.record(
      {
        target: fc.constant(target),
        do: fc.constant('disconnect' as const),
        code,
        reason: fc.string({ maxLength: 30 })
      },
      PLAIN
    ),
    fc.record(
      {
        target: fc.constant(target),
        do: fc.constantFrom('subscribe' as const, 'unsubscribe' as const),
        channel
      },
      PLAIN
    ),
    fc.record(
      {
        target: fc.constant(target),
        do: fc.constant('refresh' as const),
        expiresAt: fc.nat({ max: 2 ** 40 })
      },
      PLAIN
    )
  )
)

t.test('what is written is read', async (t) => {
  fc.assert(
    fc.property(id, id, request, (node, id, request) => {
      const message = { node, id, request }
      t.strictSame(readControlMessage(writeControlMessage(message)), message)
    })
  )
})

t.test('a reason is cut to what a close frame holds', async (t) => {
  const request = { target: { user: 'u' }, do: 'disconnect', code: 4403, reason: '–'.repeat(60) } as const
  const read = readControlMessage(writeControlMessage({ node: 'n', id: 'i', request }))
  t.strictSame(read?.request, { ...request, reason: '–'.repeat(41) })
})

t.test('a node that knows no channels as targets drops such a request', async (t) => {
  const request = { target: { user: 'u', channel: 'news' }, do: 'disconnect', code: 4403, reason: '' } as const
  const written = writeControlMessage({ node: 'n', id: 'i', request })
  t.match(JSON.parse(String(written)), { v: 2 }, 'else it would disconnect the user')
})

t.test('what a newer node may add is ignored', async (t) => {
  t.ok(read({ ...disconnect, target: { user: 'u', since: 1 }, more: [] }))
})

t.test('case 130: what is malformed, unknown or of another version is nothing', async (t) => {
  t.ok(read(disconnect))
  const { v, ...unversioned } = disconnect
  for (const message of [
    '',
    '{',
    'null',
    '1',
    '[]',
    '"text"',
    unversioned,
    { ...disconnect, v: 2 },
    { ...disconnect, v: '1' },
    { ...disconnect, target: { channel: 'news' } },
    { ...disconnect, v: 3, target: { channel: 'news' } },
    ...['', 5, null].map((channel) => ({ ...disconnect, v: 2, target: { user: 'u', channel } })),
    // What a session has beside what may be asked of it.
    ...['receive', 'push', 'ended', 'constructor', '__proto__', 'toString', 'disconnect ', '', 7, null, undefined].map(
      (name) => ({ ...envelope, do: name, channel: 'news', code: 4403, reason: '', expiresAt: 1 })
    ),
    ...['', ' ', 'x'.repeat(65), 'a.b', 7, null, undefined].flatMap((id) => [
      { ...disconnect, id },
      { ...disconnect, node: id }
    ]),
    ...[undefined, null, 'u', {}, { user: 1 }, { user: null }, { connection: 'a b' }, { user: 'x'.repeat(1_025) }].map(
      (target) => ({ ...disconnect, target })
    ),
    ...[undefined, null, '4403', 0, 999, 1001, 2999, 5000, 4403.5].map((code) => ({ ...disconnect, code })),
    ...[undefined, null, 7, 'x'.repeat(124), '–'.repeat(42)].map((reason) => ({ ...disconnect, reason })),
    ...[undefined, null, 7, '', 'x'.repeat(256), 'a\u0000b'].flatMap((channel) => [
      { ...envelope, do: 'subscribe', channel },
      { ...envelope, do: 'unsubscribe', channel }
    ]),
    ...[undefined, null, '1', 'NaN'].map((expiresAt) => ({ ...envelope, do: 'refresh', expiresAt })),
    '{"v":1,"node":"n","id":"i","target":{"user":"u"},"do":"refresh","expiresAt":1e999}',
    { ...disconnect, padding: 'x'.repeat(16_384) }
  ]) {
    t.equal(read(message), undefined, JSON.stringify(message))
  }
})

t.test('case 130: any text is read or dropped', async () => {
  const names = fc.constantFrom('disconnect', 'subscribe', 'refresh', 'receive', 'constructor')
  const anything = fc.record(
    {
      v: fc.oneof(fc.constantFrom(1, 2), fc.anything()),
      node: fc.oneof(id, fc.anything()),
      id: fc.oneof(id, fc.anything()),
      target: fc.oneof(target, fc.anything()),
      do: fc.oneof(names, fc.anything()),
      code: fc.oneof(code, fc.anything()),
      reason: fc.oneof(fc.string(), fc.anything()),
      channel: fc.oneof(channel, fc.anything()),
      expiresAt: fc.oneof(fc.double(), fc.anything())
    },
    { requiredKeys: [] }
  )
  const text = fc.oneof(fc.json(), anything.map(asText))
  fc.assert(
    fc.property(text, (text) => {
      const message: ControlMessage | undefined = readControlMessage(Buffer.from(text))
      if (message === undefined) return
      const again = readControlMessage(writeControlMessage(message))
      if (JSON.stringify(again) !== JSON.stringify(message)) throw new Error(text)
    }),
    { numRuns: 5_000 }
  )
})

/** As JSON, as far as it can be. */
function asText(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, one) => (typeof one === 'bigint' ? `${one}` : one))
  } catch {
    return ''
  }
}

t.test('a subscription with a filter has a version of its own, and the filter is checked', async (t) => {
  const filter = { key: 'k', cmp: 'eq', val: 'a' } as const
  for (const target of [{ user: 'u' }, { channel: 'c' }]) {
    const request = { target, do: 'subscribe', channel: 'room', filter } as const
    const written = writeControlMessage({ node: 'n', id: 'i', request })
    t.equal(JSON.parse(written.toString()).v, 3)
    t.strictSame(readControlMessage(written), { node: 'n', id: 'i', request })
  }
  const subscribe = { ...envelope, v: 3, do: 'subscribe', channel: 'room', filter }
  t.ok(read(subscribe))
  for (const wrong of [
    { v: 1 },
    { v: 2 },
    { filter: undefined },
    { filter: { key: 'k' } },
    { filter: 1 },
    { channel: '' }
  ]) {
    t.equal(read({ ...subscribe, ...wrong }), undefined, JSON.stringify(wrong))
  }
})
