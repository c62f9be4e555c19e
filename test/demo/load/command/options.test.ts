import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FIGURES } from '../../../../demo/load/command/expectations.ts'
import { helpText } from '../../../../demo/load/command/help.ts'
import { OPTION_TABLE } from '../../../../demo/load/command/option-table.ts'
import { type LoadOptions, OptionError, readOptions } from '../../../../demo/load/command/options.ts'

const read = (line: string, env = {}) => readOptions(line === '' ? [] : line.split(' '), env) as LoadOptions

t.test('without options: a small run against the demo', async (t) => {
  const options = read('')
  t.equal(options.target.url.href, 'ws://127.0.0.1:3000/')
  t.match(options, {
    target: { protocol: 'channels', path: '/connection/websocket', groups: 10, channelName: 'rooms/load-{run}-{n}' },
    connections: 100,
    subscriptions: 1,
    ramp: 100,
    duration: 10_000,
    rate: 100,
    messages: Number.POSITIVE_INFINITY,
    payload: 128,
    slowReaders: 0,
    slowFor: 5_000,
    reconnectStorm: false,
    users: 100,
    claims: {},
    expectations: [],
    json: false,
    quiet: false
  })
  for (const name of ['publishers', 'message', 'token', 'tokenSecret', 'origin', 'report'] as const) {
    t.equal(options[name], undefined, name)
  }
})

t.test('what is given is taken, times in any unit', async (t) => {
  t.match(
    read(
      '--url wss://example.com --channels 7 --connections 500 --subscriptions 3 --ramp 250ms --duration 2m --rate 0.5 ' +
        '--messages 9 --publishers 2 --payload 1000 --slow-readers 10 --slow-for 4s --reconnect-storm --token-secret s ' +
        '--users 5 --claims {"role":"a"} --origin https://a.example --expect lost=0 --expect p99<250 --json --quiet'
    ),
    {
      target: { groups: 7, url: { host: 'example.com' } },
      connections: 500,
      subscriptions: 3,
      ramp: 250,
      duration: 120_000,
      rate: 0.5,
      messages: 9,
      publishers: 2,
      payload: 1000,
      slowReaders: 10,
      slowFor: 4_000,
      reconnectStorm: true,
      tokenSecret: 's',
      users: 5,
      claims: { role: 'a' },
      origin: 'https://a.example',
      expectations: [{ condition: 'lost=0' }, { condition: 'p99<250' }],
      json: true,
      quiet: true
    }
  )
  t.same(read('--message {"points":[1]}').message, { points: [1] })
  t.equal(read('--connections 3').target.groups, 3, 'no channel is empty')
})

t.test('the secret of the environment, unless something else is given', async (t) => {
  t.equal(read('', { JWT_SECRET: 'e' }).tokenSecret, 'e')
  t.equal(read('--token-secret s', { JWT_SECRET: 'e' }).tokenSecret, 's')
  t.equal(read('--token t', { JWT_SECRET: 'e' }).tokenSecret, undefined)
  t.equal(read('', { JWT_SECRET: '' }).tokenSecret, undefined)
})

t.test('a report is tried to be written, and nothing is changed by that', async (t) => {
  const folder = t.testdir({ 'old.html': 'old', link: t.fixture('symlink', 'absent.html') })
  for (const name of ['old.html', 'new.html', 'link']) {
    t.equal(read(`--report ${join(folder, name)}`).report, join(folder, name))
  }
  t.equal(read('--report /dev/null').report, '/dev/null')
  t.same(readdirSync(folder).toSorted(), ['link', 'old.html'])
  t.equal(readFileSync(join(folder, 'old.html'), 'utf8'), 'old')
})

t.test('what makes no sense is refused, with a sentence that says what would', async (t) => {
  const wrong: Record<string, RegExp> = {
    '--frob': /^Unknown option '--frob'; --help lists what there is$/,
    'ws://127.0.0.1': /^Unexpected argument 'ws:\/\/127\.0\.0\.1'; --help lists what there is$/,
    '--connections': /^Option '--connections <value>' argument missing; --help/,
    '--connections ten': /^--connections must be a whole number from 1 to 1000000, not 'ten'$/,
    '--connections 0': /from 1 to/,
    '--rate --json': /^Option '--rate' argument is ambiguous; --help/,
    '--rate 1e9': /^--rate must be a number from 0 to 1000000/,
    '--duration 5h': /^--duration must be a time from 100 ms to 24 hours such as 30, 500ms or 2m, not '5h'$/,
    '--duration 10ms': /^--duration must be a time from 100 ms/,
    '--payload 10': /^--payload must be a whole number from 96 /,
    '--message 3': /^--message must be a JSON object such as/,
    '--claims {': /^--claims must be a JSON object/,
    '--token=': /^--token is empty$/,
    '--token a --token-secret b': /exclude each other/,
    '--users 3': /give --token-secret/,
    '--message {} --payload 200': /give one of them/,
    '--rooms 2 --subscriptions 2': /^--subscriptions is for --channels/,
    '--subscriptions 3 --channels 2': /needs as many --channels; there are 2$/,
    '--channels 20 --connections 10': /some would be empty; raise --connections$/,
    '--rooms 2 --connections 4 --slow-readers 3': /at most 2 here$/,
    '--url ws://a/echo --slow-readers 3': /^--slow-readers is for channels and rooms/,
    '--url ws://a/echo --publishers 3': /^--publishers is for channels and rooms/,
    '--slow-readers 200': /^--slow-readers must be a whole number from 0 to 100/,
    '--expect p98<3': /there is no figure 'p98'; there are lost, /,
    '--expect lost': /write a figure, one of = == != < <= > >=, and a number/,
    '--report /nowhere/at/all.html': /^--report: the folder of \/nowhere\/at\/all\.html is not there/,
    '--report package.json/all.html': /^--report: the folder of package\.json\/all\.html is not there/,
    '--report .': /^--report: \. is a folder: name a file in it$/,
    [`--report ${'x'.repeat(300)}`]: /^--report: x+ can't be written \(ENAMETOOLONG\)$/,
    '--url nowhere': /^--url must be a URL such as/
  }
  for (const [line, sentence] of Object.entries(wrong)) {
    t.throws(() => read(line), OptionError, line)
    t.throws(() => read(line), { message: sentence }, line)
  }
})

t.test('the help names every option and every figure, within the width of a terminal', async (t) => {
  t.equal(readOptions(['--connections', '5', '--help'], {}), 'help')
  const help = helpText()
  for (const { name } of OPTION_TABLE) t.match(help, new RegExp(`^ {2}--${name}\\b`, 'm'), name)
  for (const name of Object.keys(FIGURES)) t.match(help, new RegExp(`^ {2}${name.replace('.', '\\.')} `, 'm'), name)
  for (const line of help.split('\n')) t.ok(line.length <= 110, line)
})
