import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import root, { before, type Test, test } from 'tap'
import { WebSocketServer } from 'ws'
import { buildApp } from '../support/app.ts'
import { launchBrowser } from '../support/browser.ts'
import { DemoProcess } from '../support/demo.ts'
import { LoadProcess, type LoadReport, measureLoad, runLoadTool } from '../support/load.ts'
import { freePort, until } from '../support/redis-server.ts'

const SECRET = 'the secret of the demo under load'
const CERTIFICATE = new URL('../support/tls/cert.pem', import.meta.url)
const KEY = new URL('../support/tls/key.pem', import.meta.url)

// They wait more than they work.
root.jobs = 3
const together = { buffered: true }

let demo: DemoProcess
before(async () => {
  demo = await DemoProcess.start(root, { JWT_SECRET: SECRET })
})

const demoUrl = (path = '') => `${demo.address.replace('http', 'ws')}${path}`
const atDemo = (...args: string[]) => ['--url', demoUrl(), '--token-secret', SECRET, ...args]

/** A server whose only route echoes, and that does to the messages, by their numbers, what the test says. */
async function faultyEcho(t: Test, copies: (at: number) => number, isLate: (at: number) => boolean): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => server.close())
  server.on('connection', (socket) => {
    let count = 0
    let kept: string | undefined
    socket.on('message', (data) => {
      const at = count++
      if (isLate(at)) {
        kept = String(data)
        return
      }
      for (let copy = 0; copy < copies(at); copy++) socket.send(String(data))
      if (kept !== undefined) socket.send(kept)
      kept = undefined
    })
  })
  await new Promise<void>((resolve) => server.once('listening', resolve))
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}/echo`
}

test('channels: all that was published reached all, and the report opens', async (t) => {
  const file = join(t.testdir({}), 'report.html')
  const { status, stderr, report } = await measureLoad(
    t,
    atDemo(
      ...['--connections', '50', '--channels', '5', '--rate', '100', '--duration', '2', '--report', file],
      ...['--expect', 'lost=0', '--expect', 'duplicated=0', '--expect', 'at-end=50']
    )
  )
  t.equal(status, 0, stderr)
  t.match(report, {
    run: /^[0-9a-f]{8}$/,
    url: demoUrl('/connection/websocket'),
    protocol: 'channels',
    interrupted: false,
    asked: { connections: 50, groups: 5, rate: 100, payload: 128, tokens: 'tokens signed for 50 users' },
    connections: { opened: 50, atEnd: 50, refused: {}, failed: {}, closes: {}, reconnections: 0 },
    messages: { published: 200, publishers: 5, expected: 2000, delivered: 2000, lost: 0, duplicated: 0, outOfOrder: 0 },
    recoveries: { recovered: 0, notRecovered: 0 },
    storm: null,
    generator: { cpu: Number, memory: Number, loopDelay: { p99: Number }, lateness: { p99: Number } },
    server: { source: 'process', processes: 1, cpu: Number, memory: Number },
    warnings: [],
    expectations: [
      { condition: 'lost=0', held: true, measured: 0 },
      { condition: 'duplicated=0', held: true },
      { condition: 'at-end=50', held: true, measured: 50 }
    ]
  })
  t.ok(report.timeline.length >= 5)
  t.match(
    stderr,
    /^run [0-9a-f]{8}: tokens signed for 50 users\n(connecting, .*\n)*(sending .*\n)*(settling, .*\n)*report: /
  )

  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({ colorScheme, viewport: { width: 390, height: 844 } })
    const faults: string[] = []
    page.on('console', (message) => faults.push(message.text()))
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('request', (request) => request.url().startsWith('file:') || faults.push(request.url()))
    await page.goto(`file://${file}`)
    t.equal(await page.locator('h1').textContent(), '50 connections over 5 channels, 100 messages a second')
    t.same(await page.locator('.verdicts .held').allTextContents(), ['lost=0', 'duplicated=0', 'at-end=50'])
    t.ok((await page.locator('svg[role="img"][aria-label]').count()) >= 5)
    const fits = await page.evaluate<boolean>('document.documentElement.scrollWidth <= innerWidth')
    t.ok(fits, 'nothing is cut off on a phone')
    t.same(faults, [])
  }
})

test('a reconnect storm: all come back and have everything, on channels and in rooms', together, async (t) => {
  const storm = [
    '--reconnect-storm',
    '--rate',
    '60',
    '--duration',
    '2',
    '--expect',
    'lost=0',
    '--expect',
    'storm<20000'
  ]
  const [channels, rooms] = await Promise.all([
    measureLoad(t, atDemo('--connections', '30', '--channels', '6', '--subscriptions', '2', ...storm)),
    measureLoad(t, atDemo('--connections', '30', '--rooms', '3', ...storm))
  ])
  t.match(channels.report, { protocol: 'channels', recoveries: { recovered: 60, notRecovered: 0 } })
  t.match(rooms.report, { protocol: 'rooms', recoveries: { recovered: 30, notRecovered: 0 } })
  for (const { status, stderr, report } of [channels, rooms]) {
    t.equal(status, 0, stderr)
    t.match(report, {
      connections: { opened: 30, atEnd: 30, reconnections: 30, closes: {} },
      messages: { lost: 0, duplicated: 0, outOfOrder: 0 },
      storm: { cut: 30, back: 30, milliseconds: Number }
    })
    t.equal(report.messages.published + report.messages.unconfirmed, 120)
    t.equal(report.messages.delivered, report.messages.published * 10)
  }
})

test(
  'slow readers: the server is left with what they do not read, and they get it all in the end',
  together,
  async (t) => {
    // Less than a room's history keeps (8 MiB), or the slow readers would rightly be given a gap.
    const load = new LoadProcess(
      t,
      atDemo(
        ...['--connections', '5', '--channels', '1', '--slow-readers', '2', '--slow-for', '2500ms', '--json'],
        ...['--payload', '40000', '--rate', '60', '--duration', '3', '--expect', 'lost=0']
      )
    )
    let buffered = 0
    await until(async () => {
      const metrics = await (await fetch(`${demo.address}/metrics`)).text()
      buffered = Number(/^realtime_buffered_bytes (\d+)/m.exec(metrics)?.[1])
      return buffered > 0
    })
    const { status, stdout, stderr } = await load.exited
    t.equal(status, 0, stderr)
    const report: LoadReport = JSON.parse(stdout)
    t.match(report.messages, { published: 180, delivered: 900, lost: 0, duplicated: 0, outOfOrder: 0 })
    t.match(report.latency, { count: 180 * 3 }, 'the latencies are those of the others')
  }
)

test('an echo route, with tokens that the demo gives out', together, async (t) => {
  const url = demoUrl('/ws/json')
  const { status, stdout, stderr } = await runLoadTool(t, ['--url', url, '--connections', '5', '--duration', '500ms'])
  t.equal(status, 0, stderr)
  t.match(stderr, /^run \w+: 5 tokens from http:.*\/api\/token, shared by the connections\n/)
  t.match(stdout, /^\n5 connections to an echo route, 100 messages a second\nws:.*\/ws\/json\n\nConnections\n/)
  t.match(stdout, /published +50 \(.*\) by 5 publishers\n +delivered +50 /)
  // Where too much else runs.
  t.match(stdout, /\nLatency\n {2}(p50 +\d|not reported +the generator)/)
  t.match(stdout, /\nServer\n {2}CPU +\d+ % of a core\n {2}memory +\d+ MiB\n/)
})

test('a room of another server: TLS, a schema of its own, no word on where one stands', together, async (t) => {
  const https = { key: readFileSync(KEY), cert: readFileSync(CERTIFICATE) }
  const { app } = await buildApp(t, { auth: false }, { fastify: { https } as object })
  const message = { type: 'object', required: ['points'], properties: { points: { type: 'array' } } }
  app.ws('/boards/:board', { schema: { message } }, async (socket, request) => {
    const board = `boards/${(request.params as { board: string }).board}`
    await socket.subscribe(board)
    for await (const stroke of socket.messages()) await socket.publish(board, stroke)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  const { status, stderr, report } = await measureLoad(
    t,
    [
      ...['--url', `https://localhost:${port}/boards/tea`, '--message', '{"points":[0,0]}', '--token', 'whatever'],
      ...['--connections', '4', '--rate', '40', '--duration', '500ms', '--expect', 'lost=0', '--reconnect-storm']
    ],
    { env: { NODE_EXTRA_CA_CERTS: fileURLToPath(CERTIFICATE) } }
  )
  // Without history, what is published while one is away is lost to it, and that is seen.
  t.equal(status, report.messages.lost === 0 ? 0 : 1, stderr)
  t.match(report, { protocol: 'rooms', connections: { opened: 4, reconnections: 4 }, storm: { cut: 4, back: 4 } })
  t.equal(report.messages.expected, report.messages.published * 4)
})

test('what a server loses, doubles or delays is counted, each as what it is', together, async (t) => {
  const url = await faultyEcho(
    t,
    (at) => (at % 10 === 3 ? 0 : at % 10 === 5 ? 2 : 1),
    (at) => at % 10 === 7
  )
  const { status, stderr, report } = await measureLoad(t, [
    ...['--url', url, '--connections', '1', '--rate', '200', '--messages', '100', '--token', 'whatever'],
    ...['--expect', 'lost=0', '--expect', 'duplicated<11', '--expect', 'out-of-order!=10']
  ])
  t.match(report.messages, { published: 100, delivered: 90, lost: 10, duplicated: 10, outOfOrder: 10 })
  t.equal(status, 1)
  t.match(stderr, /failed: lost=0, measured 10\nfailed: out-of-order!=10, measured 10\n$/)
  t.notMatch(stderr, 'duplicated<11')
})

test('a generator that is itself late reports no times, and expects none to hold', together, async (t) => {
  const before = new URL('load/stall.ts', import.meta.url).href
  const args = ['--url', demoUrl('/ws/echo'), '--connections', '10', '--duration', '1', '--token', 'none', '--quiet']
  const { status, stdout } = await runLoadTool(t, [...args, '--expect', 'p99<100000', '--expect', 'lost=0'], { before })
  t.equal(status, 1)
  const reason = /the generator itself was late by \d+\.\d ms \(p\d\d of its event loop\)/.source
  t.match(stdout, new RegExp(`\nLatency\n {2}not reported +${reason}`))
  t.match(stdout, new RegExp(`\n {2}failed: p99<100000, not measured: ${reason}`))
  t.match(stdout, /\n {2}held: lost=0\n/)
})

test('Ctrl-C: the figures so far', together, async (t) => {
  const load = new LoadProcess(t, atDemo('--duration', '60', '--json', '--expect', 'lost=0'))
  await load.says(/^sending /m)
  load.signal('SIGINT')
  // As npm passes on what the terminal has sent already.
  load.signal('SIGINT')
  const { status, stdout, stderr } = await load.exited
  t.equal(status, 0, stderr)
  const report: LoadReport = JSON.parse(stdout)
  t.match(report, { interrupted: true, connections: { opened: 100, atEnd: 100 }, messages: { lost: 0 } })
  t.ok(report.messages.published > 0 && report.messages.duration < report.asked.duration)
})

test('nobody reads the figures any more: a quiet end, and the report all the same', together, async (t) => {
  const file = join(t.testdir({}), 'report.html')
  const load = new LoadProcess(t, atDemo('--connections', '5', '--duration', '1', '--report', file))
  await load.says(/^run /m)
  load.closeStdout()
  const { status, stderr } = await load.exited
  t.equal(status, 0, stderr)
  t.match(stderr, /\nreport: .*\n$/)
  t.notMatch(stderr, 'EPIPE')
  t.match(readFileSync(file, 'utf8'), '5 connections')
})

test('a report that can’t be written after all: the figures are there', together, async (t) => {
  const file = join(t.testdir({}), 'report.html')
  const load = new LoadProcess(t, atDemo('--connections', '5', '--duration', '1', '--report', file))
  await load.says(/^run /m)
  mkdirSync(file)
  const { status, stdout, stderr } = await load.exited
  t.equal(status, 1)
  t.match(stdout, /\n5 connections over 5 channels/)
  t.match(stderr, /\nthe report could not be written: EISDIR.*\n$/)
})

test('a run that fails leaves an earlier report as it was, and no empty one', together, async (t) => {
  const folder = t.testdir({ 'old.html': 'old' })
  const url = `ws://127.0.0.1:${await freePort()}`
  for (const name of ['old.html', 'new.html']) {
    t.equal((await runLoadTool(t, ['--url', url, '--report', join(folder, name)])).status, 1)
  }
  t.equal(readFileSync(join(folder, 'old.html'), 'utf8'), 'old')
  t.same(readdirSync(folder), ['old.html'])
})

test('what can’t be run is said, and how to mend it', together, async (t) => {
  const port = await freePort()
  const [option, absent, token, files] = await Promise.all([
    runLoadTool(t, ['--connections', 'many']),
    runLoadTool(t, ['--url', `ws://127.0.0.1:${port}`]),
    runLoadTool(t, ['--url', demoUrl(), '--token-secret', 'another']),
    runLoadTool(t, atDemo('--connections', '500'), { shell: 'ulimit -n 300' })
  ])
  t.same([option.status, option.stdout], [2, ''])
  t.match(option.stderr, /^--connections must be a whole number/)
  t.same([absent.status, absent.stdout], [1, ''])
  t.match(absent.stderr, /^nothing answers on port \d+ of 127\.0\.0\.1: start the server first/)
  t.same([token.status, token.stdout], [1, ''])
  t.match(token.stderr, /no connection could take part: refused with 401 \(100 times\): the token was refused; give/)
  t.same([files.status, files.stdout], [1, ''])
  t.match(files.stderr, /^500 connections need 600 file descriptors, and this process may open 300: raise/)
})
