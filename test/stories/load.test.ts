import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import root, { before, type Test, test } from 'tap'
import { WebSocketServer } from 'ws'
import { buildApp } from '../support/app.ts'
import { launchBrowser } from '../support/browser.ts'
import { DemoProcess } from '../support/demo.ts'
import { LoadProcess, type LoadReport, type LoadSetup, measureLoad, runLoadTool } from '../support/load.ts'
import { freePort } from '../support/redis-server.ts'

/* The command as a process of its own, against the demo and against servers that are not ours. */

const SECRET = 'the secret of the demo under load'
const KNOWN: LoadSetup = { env: { JWT_SECRET: SECRET } }
const CERTIFICATE = new URL('../support/tls/cert.pem', import.meta.url)
const KEY = new URL('../support/tls/key.pem', import.meta.url)
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

// They wait more than they work.
root.jobs = 3
const together = { buffered: true }

let demo: DemoProcess
before(async () => {
  demo = await DemoProcess.start(root, { JWT_SECRET: SECRET })
})

const demoUrl = (path = '') => `${demo.address.replace('http', 'ws')}${path}`
const expect = (...conditions: string[]) => conditions.flatMap((condition) => ['--expect', condition])
const FLAWLESS = expect('lost=0', 'duplicated=0', 'out-of-order=0', 'closes=0')

/** A bare server that echoes, and does to the messages, by their numbers, what the test says. */
async function bareEcho(t: Test, copies = (_at: number) => 1, isLate = (_at: number) => false): Promise<string> {
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
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}`
}

async function axeFaults(page: Page): Promise<string[]> {
  await page.addScriptTag({ content: axe })
  const { violations } = await page.evaluate<{ violations: { id: string }[] }>('axe.run()')
  return violations.map(({ id }) => id)
}

/** How many plots have drawn something, of how many. */
const PLOTS = `Array.from(document.querySelectorAll('canvas'), (canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  return data.some((byte) => byte !== 0)
})`

test('channels: all that was published reached all, and the report opens', async (t) => {
  const file = join(t.testdir({}), 'report.html')
  const args = ['--connections', '50', '--channels', '5', '--rate', '100', '--duration', '2', '--report', file]
  const conditions = expect('at-end=50', 'p99<100000')
  const { status, stderr, report } = await measureLoad(t, [demoUrl(), ...args, ...FLAWLESS, ...conditions], KNOWN)
  t.equal(status, 0, stderr)
  t.match(report, {
    url: demoUrl('/connection/websocket'),
    protocol: 'channels',
    transport: 'websocket',
    interrupted: false,
    asked: { connections: 50, groups: 5, rate: 100, payload: 128 },
    connections: { opened: 50, atEnd: 50, refused: {}, failed: {}, closes: {}, reconnections: 0 },
    messages: { published: 200, publishers: 5, expected: 2000, delivered: 2000, lost: 0, duplicated: 0, outOfOrder: 0 },
    storm: null,
    server: { cpu: Number, memory: Number },
    warnings: []
  })
  t.ok(report.timeline.length >= 5)
  t.notMatch(JSON.stringify(report) + stderr + readFileSync(file, 'utf8'), SECRET)

  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const phone = { width: 390, height: 844 }
  for (const [colorScheme, viewport] of [
    ['light', { width: 1180, height: 900 }],
    ['dark', phone]
  ] as const) {
    const page = await browser.newPage({ colorScheme, viewport })
    const faults: string[] = []
    page.on('console', (message) => faults.push(message.text()))
    page.on('pageerror', (error) => faults.push(String(error)))
    page.on('request', (request) => request.url().startsWith('file:') || faults.push(request.url()))
    await page.goto(`file://${file}`)
    t.equal(await page.locator('h1').textContent(), '50 connections over 5 channels, 100 messages a second')
    t.equal(await page.locator('.held').count(), 6)
    t.same(await page.evaluate(PLOTS), Array(6).fill(true), 'every plot has lines')
    const fits = await page.evaluate<boolean>('document.documentElement.scrollWidth <= innerWidth')
    t.ok(fits, 'nothing is cut off')
    await page.setViewportSize({ width: 500, height: 800 })
    await page.locator('summary').click()
    t.same(faults, [])
    t.same(await axeFaults(page), [])
  }
})

for (const transport of ['websocket', 'protobuf', 'http_stream', 'sse']) {
  test(`a reconnect storm over ${transport}: all come back and have everything`, together, async (t) => {
    const args = ['--connections', '30', '--channels', '6', '--subscriptions', '2', '--transport', transport]
    const storm = ['--reconnect-storm', '--rate', '60', '--duration', '2', ...FLAWLESS, ...expect('storm<60000')]
    const { status, stderr, report } = await measureLoad(t, [demoUrl(), ...args, ...storm], KNOWN)
    t.equal(status, 0, stderr)
    t.match(report, {
      transport,
      connections: { opened: 30, atEnd: 30, reconnections: 30 },
      recoveries: { recovered: 60, notRecovered: 0 },
      storm: { cut: 30, back: 30, milliseconds: Number }
    })
    t.equal(report.messages.published + report.messages.unconfirmed, 120)
    t.equal(report.messages.delivered, report.messages.published * 10)
  })
}

test('a reconnect storm in rooms', together, async (t) => {
  const args = ['--connections', '30', '--rooms', '3', '--reconnect-storm', '--rate', '60', '--duration', '2']
  const { status, stderr, report } = await measureLoad(t, [demoUrl(), ...args, ...FLAWLESS], KNOWN)
  t.equal(status, 0, stderr)
  t.match(report, { protocol: 'rooms', recoveries: { recovered: 30, notRecovered: 0 }, storm: { cut: 30, back: 30 } })
})

test('slow readers get it all in the end, and do not count in the latencies', together, async (t) => {
  // Less than a room's history keeps (8 MiB), or the slow readers would rightly be given a gap.
  const slow = ['--connections', '5', '--channels', '1', '--slow-readers', '2', '--slow-for', '1500ms']
  const size = ['--payload', '40000', '--rate', '60', '--duration', '2', ...FLAWLESS]
  const { status, stderr, report } = await measureLoad(t, [demoUrl(), ...slow, ...size], KNOWN)
  t.equal(status, 0, stderr)
  t.match(report, { messages: { published: 120, delivered: 600 }, latency: { count: 120 * 3 } })
})

test('a bare echo server, with no option, and the table', together, async (t) => {
  const url = `${await bareEcho(t)}/echo`
  const { status, stdout, stderr } = await runLoadTool(t, [url, '--duration', '1'])
  t.equal(status, 0, stderr)
  t.match(
    stdout,
    /^100 connections to an echo route, 100 messages a second\nws:.*\/echo\n\nConnections\n {2}connected /
  )
  t.match(stdout, /\n {2}delivered +100 \(.* a second\)\n {2}lost +0\n/)
  t.match(stdout, /\n {2}server-cpu +not known: the server has no \/metrics/)
})

test('a room of another server: TLS, a schema of its own, no notice of the position', together, async (t) => {
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
  const url = `https://localhost:${port}/boards/tea`
  const args = [url, '--message', '{"points":[0,0]}', '--connections', '4', '--rate', '40', '--duration', '500ms']
  const { status, stderr, report } = await measureLoad(t, [...args, ...FLAWLESS], {
    env: { NODE_EXTRA_CA_CERTS: fileURLToPath(CERTIFICATE), LOAD_TOKEN: 'whatever' }
  })
  t.equal(status, 0, stderr)
  t.match(report, { protocol: 'rooms', messages: { published: 20, delivered: 80 } })
})

test('what a server loses, doubles or delays is counted, each as what it is', together, async (t) => {
  const url = await bareEcho(
    t,
    (at) => (at % 10 === 3 ? 0 : at % 10 === 5 ? 2 : 1),
    (at) => at % 10 === 7
  )
  const args = [url, '--echo', '--connections', '1', '--rate', '200', '--messages', '100']
  const conditions = expect('lost=0', 'duplicated<11', 'out-of-order!=10')
  const { status, report } = await measureLoad(t, [...args, ...conditions])
  t.match(report.messages, { published: 100, delivered: 90, lost: 10, duplicated: 10, outOfOrder: 10 })
  t.equal(status, 1)
  t.same(
    report.expectations.map(({ words }) => words),
    ['failed: lost=0, measured 10', 'held: duplicated<11', 'failed: out-of-order!=10, measured 10']
  )
})

test('Ctrl-C: the figures so far', together, async (t) => {
  const load = new LoadProcess(t, [demoUrl(), '--duration', '60', '--json', ...expect('lost=0')], KNOWN)
  await load.says(/^sending/m)
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
  const args = [demoUrl(), '--connections', '5', '--duration', '1', '--report', file]
  const load = new LoadProcess(t, args, KNOWN)
  await load.says(/^connecting|^sending/m)
  load.closeStdout()
  const { status, stderr } = await load.exited
  t.equal(status, 0, stderr)
  t.notMatch(stderr, 'EPIPE')
  t.match(readFileSync(file, 'utf8'), '5 connections')
})

test('what cannot be run: the status, and what to do', together, async (t) => {
  const port = await freePort()
  const folder = t.testdir({})
  const [option, absent, token, files, report] = await Promise.all([
    runLoadTool(t, ['--connections', 'many']),
    runLoadTool(t, [`ws://127.0.0.1:${port}`]),
    runLoadTool(t, [demoUrl()], { env: { JWT_SECRET: 'another secret, which the demo does not know' } }),
    runLoadTool(t, [demoUrl(), '--connections', '500'], { shell: 'ulimit -n 300' }),
    runLoadTool(t, [demoUrl('/ws/echo'), '--duration', '1', '--connections', '1', '--report', folder])
  ])
  t.same([option.status, option.stdout], [2, ''])
  t.match(option.stderr, /^error: option '--connections <n>' argument 'many' is invalid. It must be a whole number/)
  t.same([absent.status, absent.stdout], [3, ''])
  t.match(absent.stderr, /^error: nothing answers at 127\.0\.0\.1:\d+ \(ECONNREFUSED\): start the server first/)
  t.same([token.status, token.stdout], [3, ''])
  t.match(token.stderr, /no connection could take part: refused with 401 \(100 times\): .* set JWT_SECRET/)
  t.same([files.status, files.stdout], [3, ''])
  t.match(files.stderr, /^error: 500 connections need 600 file descriptors, and this process may open 300: raise/)
  t.equal(report.status, 1)
  t.match(report.stdout, /^1 connection /, 'the figures are there')
  t.match(report.stderr, /error: .*EISDIR/)
})
