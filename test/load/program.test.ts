import { readFileSync } from 'node:fs'
import { mock } from 'node:test'
import { test } from 'tap'
import { program } from '../../lib/load/program.ts'
import { LoadPeer } from '../support/load-peer.ts'

type Write = typeof process.stdout.write

/** Runs a command line. What it printed, and its status. */
async function run(...line: string[]) {
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    mock.method(process[name], 'write', ((text: string) => {
      printed[name] += text
      return true
    }) as Write)
  }
  try {
    const status = await program(['node', 'fastify-realtime', ...line], {})
    return { status, ...printed }
  } finally {
    mock.restoreAll()
  }
}

async function echo(t: Parameters<typeof LoadPeer.start>[0]): Promise<string> {
  const peer = await LoadPeer.start(t, '/echo')
  peer.server.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))))
  return String(peer.url)
}

const SHORT = ['--connections', '2', '--duration', '200ms']

test('help, and commands that are wrong', async (t) => {
  t.match(await run(), { status: 0, stdout: /^Usage: fastify-realtime .*load \[options\] \[url\]/s })
  const help = await run('load', '--help')
  t.match(help, { status: 0, stderr: '', stdout: /^Usage: fastify-realtime load .*Exit status: 0 /s })
  t.ok(help.stdout.split('\n').every((line) => line.length <= 120))
  t.match(await run('nope'), { status: 2, stdout: '', stderr: /^error: unknown command 'nope'\n--help lists/ })
  t.match(await run('load', '--ratee', '1'), {
    status: 2,
    stderr: /^error: unknown option '--ratee'\n\(Did you mean --rate\?/
  })
  t.match(await run('load', 'nonsense'), { status: 2, stderr: /^error: 'nonsense' is no URL of a server/ })
  t.match(await run('load', 'ws://127.0.0.1:9'), { status: 3, stderr: /^error: nothing answers at 127.0.0.1:9 / })
})

test('a run: the table, the report, and expectations as the status', async (t) => {
  const file = `${t.testdir({})}/report.html`
  const url = await echo(t)
  const fine = await run('load', url, ...SHORT, '--expect', 'lost=0', '--report', file)
  t.match(fine, { status: 0, stdout: /^2 connections to an echo route/, stderr: /The report is in .*report.html\n$/ })
  t.match(readFileSync(file, 'utf8'), '2 connections to an echo route')
  const failed = await run('load', url, ...SHORT, '--quiet', '--json', '--expect', 'lost>0')
  t.match(failed, { status: 1, stderr: '' })
  t.match(JSON.parse(failed.stdout), { protocol: 'echo', expectations: [{ held: false }] })
  const unwritten = await run('load', url, ...SHORT, '--quiet', '--report', t.testdir({}))
  t.match(unwritten, { status: 1, stdout: /^2 connections/, stderr: /^error: EISDIR/ })
})

test('the first Ctrl-C ends the run, the second the process', async (t) => {
  const url = await echo(t)
  const exits: unknown[] = []
  mock.method(process, 'exit', ((status: number) => exits.push(status)) as never)
  let now = 0
  const before = process.listenerCount('SIGINT')
  const running = run('load', url, '--connections', '2', '--duration', '60', '--json')
  while (process.listenerCount('SIGINT') === before) await new Promise((resolve) => setImmediate(resolve))
  const clock = performance.now()
  process.emit('SIGINT')
  process.emit('SIGINT')
  const atOnce = exits.length
  performance.now = () => clock + 100_000 + now++
  process.emit('SIGTERM')
  Reflect.deleteProperty(performance, 'now')
  const { status, stdout } = await running
  t.equal(atOnce, 0, 'npm passes the same signal on')
  t.same(exits, [130])
  t.equal(status, 0)
  t.match(JSON.parse(stdout), { interrupted: true })
  t.equal(process.listenerCount('SIGINT'), before)
})

test('a reader that closes early', async (t) => {
  await run()
  t.doesNotThrow(() => process.stdout.emit('error', new Error('EPIPE')))
})
