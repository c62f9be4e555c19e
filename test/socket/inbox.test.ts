import t from 'tap'
import type { CompiledValidator } from '../../lib/input/validator.ts'
import { BINARY, Inbox } from '../../lib/socket/inbox.ts'
import { cpuTime } from '../support/cpu-time.ts'

interface Options {
  maxQueue?: number
  maxPayload?: number
  maxDepth?: number
  validator?: CompiledValidator
  takesKeys?: boolean
}

function make(options: Options = {}) {
  const { maxQueue = 64, maxPayload = 1_048_576, maxDepth = 64, validator, takesKeys = false } = options
  const calls: string[] = []
  const sent: { error: { code: string; message: string; issues?: unknown } }[] = []
  const causes: unknown[] = []
  const inbox = new Inbox({ limits: { maxQueue, maxPayload, maxDepth }, validator }, takesKeys, {
    sendText: (text) => void sent.push(JSON.parse(text)),
    pause: () => void calls.push('pause'),
    resume: () => void calls.push('resume'),
    rejected(code, cause) {
      calls.push(code)
      if (cause !== undefined) causes.push(cause)
    },
    taken: (key) => void calls.push(`taken ${key}`)
  })
  inbox.running = true
  const add = (...texts: string[]) => {
    for (const text of texts) inbox.add(Buffer.from(text))
  }
  /** The next message, where one waits. */
  const next = async () => (await inbox.next()).value
  return { inbox, add, next, calls, sent, causes, codes: () => sent.map(({ error }) => error.code) }
}

/** The error that a text is answered with, or its value. */
async function answerTo(text: string, options?: Options): Promise<unknown> {
  const { inbox, add, codes } = make(options)
  add(text)
  inbox.end()
  const { value, done } = await inbox.next()
  return done ? codes().join() : { value }
}

t.test('messages come parsed and in order, whether they or the handler came first', async (t) => {
  const { inbox, add, next } = make()
  add('1', '"two"')
  t.equal(inbox.length, 2)
  t.equal(await next(), 1)
  t.equal(await next(), 'two')
  const third = next()
  t.equal(inbox.length, 0)
  add('{"three":[3]}', '4')
  t.same(await third, { three: [3] })
  t.equal(await next(), 4)
})

t.test('what is valid JSON is a message', async (t) => {
  for (const text of [
    'null',
    '[]',
    '"x"',
    '0',
    'false',
    ' {"a":1}\n',
    '{"constructor":"a name"}',
    '"\\ud83d\\udc4b"'
  ]) {
    t.same(await answerTo(text), { value: JSON.parse(text) }, text)
  }
})

t.test('what is not is answered with an error', async (t) => {
  const texts = ['', ' ', 'x', '{', '{"a":1', "{'a':1}", 'undefined', '1 2', '\ufeff{}', '"\n"', 'NaN', '01']
  for (const text of texts) t.equal(await answerTo(text), 'invalid_json', JSON.stringify(text))
  const unportable = ['1e999', '[-1e400]', `${'9'.repeat(250)}e99`, '"\\ud83d"', '{"a":"\\udc4b"}']
  for (const text of unportable) t.equal(await answerTo(text), 'invalid_message', text.slice(0, 20))
})

t.test('keys that reach prototypes are refused, however they are written', async (t) => {
  const texts = [
    '{"__proto__":{"polluted":1}}',
    '{"a":[{"__proto__":null}]}',
    '{"\\u005f_proto__":{"polluted":1}}',
    '{"constructor":{"prototype":{"polluted":1}}}'
  ]
  for (const text of texts) t.equal(await answerTo(text), 'invalid_message', text)
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
})

t.test('depth is bounded', async (t) => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  t.match(await answerTo(nested(64)), { value: [[]] })
  t.equal(await answerTo(nested(65)), 'too_deep')
  t.equal(await answerTo('{"a":{"b":1}}', { maxDepth: 1 }), 'too_deep')
})

t.test('64 KB of anything is answered in a moment', async (t) => {
  const texts = {
    depth: '['.repeat(10_000) + ']'.repeat(10_000),
    'open depth': '{"a":'.repeat(13_000),
    keys: JSON.stringify(Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, i]))),
    elements: `[${'0,'.repeat(32_000)}1e100]`,
    digits: '1'.repeat(65_000),
    'runs of digits': `[${`${'1'.repeat(208)},`.repeat(310)}0]`,
    backslashes: `"${'\\\\'.repeat(32_000)}"`,
    quotes: `["${'\\"'.repeat(32_000)}"]`,
    prototypes: `[${'{"__prot_":1},'.repeat(4_500)}{"__proto__":1}]`
  }
  const slow: string[] = []
  for (const [name, text] of Object.entries(texts)) {
    let best = Number.POSITIVE_INFINITY
    // The best of three: a collection of garbage is no fault of the parser's.
    for (let i = 0; i < 3; i++) best = Math.min(best, await cpuTime(() => answerTo(text)))
    if (best >= 25) slow.push(`${name}: ${best} ms`)
  }
  t.same(slow, [])
})

t.test('binary messages are not for it', async (t) => {
  const { inbox, add, next, codes } = make()
  inbox.add(BINARY)
  add('1')
  t.equal(await next(), 1)
  t.same(codes(), ['unsupported_data'])
})

t.test('errors are answered in the order of the messages, when their turn comes', async (t) => {
  const { inbox, add, next, codes, calls } = make()
  add('x', '1', '{"__proto__":1}', '2')
  inbox.add(BINARY)
  t.same(codes(), [])
  t.equal(await next(), 1)
  t.same(codes(), ['invalid_json'])
  t.equal(await next(), 2)
  t.same(codes(), ['invalid_json', 'invalid_message'])
  const third = next()
  t.same(codes(), ['invalid_json', 'invalid_message', 'unsupported_data'])
  add('y', '3')
  t.equal(await third, 3)
  t.same(codes().at(-1), 'invalid_json')
  t.same(calls, codes())
})

t.test('a schema decides, and its issues are told', async (t) => {
  // As Ajv's are: true or false, the errors on the function, and the data changed in place.
  const validator: CompiledValidator = (data) => {
    const message = data as { n?: unknown; unit?: string }
    message.unit ??= 'm'
    validator.errors = message.n === undefined ? [{ keyword: 'required' }] : null
    return validator.errors === null
  }
  const { add, next, sent } = make({ validator })
  add('{"n":12}', '{"m":1}', '{"n":3,"unit":"km"}')
  t.same(await next(), { n: 12, unit: 'm' })
  t.same(await next(), { n: 3, unit: 'km' })
  t.match(sent, [{ error: { code: 'invalid_message', issues: [{ keyword: 'required' }] } }])
})

t.test('a validator’s own failure is internal, without a word of it to the peer', async (t) => {
  const fault = new Error('secret')
  const validators = {
    throws: () => {
      throw fault
    },
    'is asynchronous': async () => {
      throw fault
    },
    'has issues that JSON cannot say': () => ({ error: [{ minimum: 5n }] })
  }
  for (const [name, validator] of Object.entries(validators)) {
    const { inbox, add, next, sent, causes } = make({ validator })
    add('1')
    const pending = next()
    add('2')
    inbox.end()
    t.equal(await pending, undefined)
    t.same(sent, Array(2).fill({ error: { code: 'internal', message: 'Internal error' } }), name)
    t.equal(causes.length, 2)
  }
})

t.test('the socket is paused while the queue is full, and read again when half is gone', async (t) => {
  const { inbox, add, next, calls } = make({ maxQueue: 4 })
  add('1', '2', '3')
  t.same(calls, [])
  // All of one TCP chunk comes, whatever is paused.
  add('4', '5', '6')
  t.same(calls, ['pause'])
  for (const expected of [1, 2, 3]) t.equal(await next(), expected)
  t.same(calls, ['pause'])
  t.equal(await next(), 4)
  t.same(calls, ['pause', 'resume'])
  add('7', '8')
  t.same(calls, ['pause', 'resume', 'pause'])
  for (const expected of [5, 6, 7, 8]) t.equal(await next(), expected)
  t.equal(calls.at(-1), 'resume')
  t.equal(inbox.length, 0)
})

t.test('so it is while the messages that wait are as large as one may be', async (t) => {
  const { add, next, calls } = make({ maxPayload: 10 })
  add('"12345"')
  t.same(calls, [])
  add('"12345"')
  t.same(calls, ['pause'])
  await next()
  t.same(calls, ['pause'])
  await next()
  t.same(calls, ['pause', 'resume'])
})

t.test('under steady load what was taken is let go', async (t) => {
  const { inbox, add, next } = make()
  add('0')
  for (let i = 1; i < 1_000; i++) {
    add(String(i))
    t.equal(await next(), i - 1)
  }
  t.equal(inbox.length, 1)
})

t.test('what arrived before the end is handed out, and nothing after it', async (t) => {
  const { inbox, add } = make()
  add('1', '2')
  inbox.end()
  add('3')
  const seen: unknown[] = []
  for await (const message of inbox) seen.push(message)
  t.same(seen, [1, 2])
  t.notOk(inbox.running)
  t.same(await inbox.next(), { value: undefined, done: true })
})

t.test('the end ends who waits', async (t) => {
  const { inbox } = make()
  const pending = [inbox.next(), inbox.next()]
  inbox.end()
  for (const result of await Promise.all(pending)) t.same(result, { value: undefined, done: true })
  inbox.end()
})

t.test('each of several who wait gets one message, in order', async (t) => {
  const { add, next } = make()
  const pending = [next(), next()]
  add('1', '2')
  t.same(await Promise.all(pending), [1, 2])
})

t.test('leaving the loop ends who waits, and keeps what comes for the next loop', async (t) => {
  const { inbox, add } = make()
  const pending = inbox.next()
  t.same(await inbox.return(), { value: undefined, done: true })
  t.same(await pending, { value: undefined, done: true })
  t.notOk(inbox.running)
  add('1')
  t.equal(inbox.length, 1)
})

t.test('it is busy between a message and the request for the next', async (t) => {
  const { inbox, add, next } = make()
  const first = next()
  t.notOk(inbox.busy)
  add('1')
  await first
  t.ok(inbox.busy)
  const second = next()
  t.notOk(inbox.busy)
  inbox.end()
  await second
  t.notOk(inbox.busy)
})

t.test('keyed messages are handed out as what is in them, and taken when the handler asks for the next', async (t) => {
  const { inbox, add, next, calls } = make({ takesKeys: true })
  add('{"key":"k1","message":{"a":1}}', '{"message":2,"key":"k2"}', '{"key":"k3","text":3}')
  t.equal(inbox.key, undefined)
  t.same(await next(), { a: 1 })
  t.equal(inbox.key, 'k1')
  t.same(calls, [])
  t.equal(await next(), 2)
  t.equal(inbox.key, 'k2')
  t.same(calls, ['taken k1'])
  t.same(await next(), { key: 'k3', text: 3 }, 'what has other keys is a plain message')
  t.equal(inbox.key, undefined)
  const waiting = next()
  add('{"key":"k4","message":4}')
  t.equal(await waiting, 4)
  t.equal(inbox.key, 'k4')
  await inbox.return()
  t.same(calls, ['taken k1', 'taken k2', 'taken k4'])
})

t.test('a keyed message that is refused is answered, and taken', async (t) => {
  const validator = Object.assign((data: unknown) => data === 1, { errors: [] })
  const { add, next, calls, codes } = make({ validator, takesKeys: true })
  add('{"key":"k1","message":2}', '{"key":"","message":1}', `{"key":"${'k'.repeat(256)}","message":1}`)
  add('{"key":"k2","message":1}')
  t.equal(await next(), 1)
  t.same(codes(), ['invalid_message', 'invalid_message', 'invalid_message'])
  t.same(calls, ['invalid_message', 'taken k1', 'invalid_message', 'invalid_message'])
})

t.test('on other routes a keyed message is a message like any other', async (t) => {
  const { inbox, add, next } = make()
  add('{"key":"k1","message":1}')
  t.same(await next(), { key: 'k1', message: 1 })
  t.equal(inbox.key, undefined)
})
