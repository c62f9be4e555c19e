import { test } from 'tap'
import { loadCommand, runOptions } from '../../lib/load/command.ts'
import { UsageError } from '../../lib/load/target.ts'

/** What a command line means. */
function parse(line: string[], env: NodeJS.ProcessEnv = {}) {
  const command = loadCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  command.parse(line, { from: 'user' })
  return { ...command.opts(), ...runOptions(command.args[0] ?? 'ws://h', command.opts(), env) } as Record<
    string,
    unknown
  >
}

test('defaults', async (t) => {
  t.match(parse([]), {
    target: { protocol: 'channels', groups: 10 },
    ...{ connections: 100, ramp: 100, duration: 10_000, rate: 100, messages: Number.POSITIVE_INFINITY },
    ...{ payload: 128, subscriptions: 1, slowReaders: 0, slowFor: 5000, users: 100, claims: {}, tokens: [] },
    ...{ secret: undefined, publishers: undefined, emulation: '/emulation' }
  })
})

test('values', async (t) => {
  const line = [
    'wss://h/a/{n}',
    '--rooms',
    '5',
    '--duration',
    '2m',
    '--ramp',
    '500ms',
    '--slow-for',
    '3',
    '--users',
    '7'
  ]
  t.match(parse([...line, '--claims', '{"a":1}', '--message', '{}', '--rate', '0.5']), {
    target: { protocol: 'rooms', groups: 5 },
    ...{ duration: 120_000, ramp: 500, slowFor: 3000, users: 7, claims: { a: 1 }, message: {}, rate: 0.5 }
  })
  t.match(parse(['--expect', 'lost=0', '--expect', 'p99<5']).expect, [{ condition: 'lost=0' }, { condition: 'p99<5' }])
  const folder = t.testdir({})
  t.equal(parse(['--report', `${folder}/a.html`]).report, `${folder}/a.html`)
})

test('tokens and secrets come from the environment or from files', async (t) => {
  const folder = t.testdir({ tokens: 'a\n b \n\n', secret: 's\n' })
  const access = (line: string[], env: NodeJS.ProcessEnv) => {
    const { tokens, secret } = parse(line, env)
    return [tokens, secret]
  }
  const env = { JWT_SECRET: 'x', LOAD_TOKEN: 't' }
  t.same(access([], { JWT_SECRET: 'x' }), [[], 'x'])
  t.same(access([], { JWT_SECRET: '' }), [[], undefined])
  t.same(access([], env), [['t'], undefined], 'a given token is the token')
  t.same(access(['--token-file', `${folder}/tokens`], env), [['a', 'b'], undefined])
  t.same(access(['--secret-file', `${folder}/secret`], env), [['t'], 's'])
})

test('mistakes', async (t) => {
  const folder = t.testdir({ file: '' })
  const cases: [string[], RegExp][] = [
    [['--connections', '0'], /'0' is invalid. It must be a whole number from 1 to 1000000\.$/],
    [['--connections', '1.5'], /whole number/],
    [['--rate', '-1'], /It must be a number from 0/],
    [['--rate', '2000000'], /It must be a number from 0 to 1000000/],
    [['--duration', '50ms'], /a time from 100 ms to 24 hours, such as 30, 500ms or 2m\.$/],
    [['--duration', '25h'], /a time from/],
    [['--message', '{'], /It must be a JSON object such as/],
    [['--message', '[]'], /It must be a JSON object/],
    [['--message', 'null'], /It must be a JSON object/],
    [['--token-file', `${folder}/none`], /The file cannot be read/],
    [['--report', `${folder}/none/a.html`], /Its folder is not there, or cannot be written/],
    [['--transport', 'smoke'], /Allowed choices are websocket, protobuf, http_stream, sse/],
    [['--channels', '2', '--echo'], /cannot be used with/],
    [['--rooms', '2', '--echo'], /cannot be used with/],
    [['--rooms', '2', '--transport', 'sse'], /cannot be used with/],
    [['--message', '{}', '--payload', '100'], /cannot be used with/],
    [['--subscriptions', '2', '--echo'], /^--subscriptions is for channels only$/],
    [['--slow-readers', '2', '--echo'], /^--slow-readers is for channels and rooms only$/],
    [['--subscriptions', '3', '--channels', '2'], /^--subscriptions 3 needs as many --channels$/],
    [['--channels', '101'], /^101 channels need as many connections that are not slow/],
    [['--slow-readers', '91', '--channels', '10'], /^10 channels need as many connections/]
  ]
  for (const [line, message] of cases) t.throws(() => parse(line), { message })
  t.throws(() => parse(['--channels', '101']), new UsageError())
})
