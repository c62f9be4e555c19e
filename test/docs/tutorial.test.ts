import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { connect, type RealtimeClient } from '../../lib/client/index.ts'
import { copyPackage, readManifest } from '../../scripts/publication.ts'
import { launchBrowser } from '../support/browser.ts'
import { freePort, RedisServer, until } from '../support/redis-server.ts'
import { read, root } from './pages.ts'
import { Program, run } from './programs.ts'

/*
 * docs/tutorial.md as a reader follows it: its files and commands, step by step, in a folder outside of the repository
 * and with the built package. Only `npm install` is replaced, by links to the packages that its lines name.
 */

const PAGE = 'docs/tutorial.md'
const folder = mkdtempSync(join(tmpdir(), 'fastify-realtime-tutorial-'))
const app = join(folder, 'chat')
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

interface Step {
  readonly number: number
  /** The files that it prints, by their paths. */
  readonly files: Readonly<Record<string, string>>
  readonly commands: readonly string[]
}

const steps = read(PAGE)
  .split(/^## (?=\d)/m)
  .slice(1)
  .map((text): Step => {
    const files = [...text.matchAll(/^(?:Replace )?`([^`]+)`:\n\n```\w+\n(.*?)^```$/gms)]
    const commands = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block)
    return {
      number: Number.parseInt(text, 10),
      files: Object.fromEntries(files.map(([, path = '', source = '']) => [path, source])),
      commands
    }
  })
const step = (number: number) => steps[number - 1] as Step

function writeFiles({ files }: Step): void {
  for (const [path, source] of Object.entries(files)) {
    mkdirSync(dirname(join(app, path)), { recursive: true })
    writeFileSync(join(app, path), source)
  }
}

/** The output of the commands, as a shell runs them. Their errors end it. */
function shell(commands: string): string {
  // tap loads its measuring into every child process, by NODE_OPTIONS that it puts back. tsc can't start with it.
  const command = ['-u', 'NODE_OPTIONS', 'sh', '-ec', commands]
  const { status, stdout, stderr } = spawnSync('env', command, { cwd: app, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${commands}\n${stdout}\n${stderr}`)
  return stdout
}

function link(name: string): void {
  const path = join(app, 'node_modules', name)
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(root, 'node_modules', name), path)
}

/** What `npm install` would do with these packages. */
async function install(names: readonly string[]): Promise<void> {
  const manifest = readManifest()
  const target = join(app, 'node_modules', manifest.name)
  copyPackage(target, manifest)
  await run(process.execPath, ['--import=./scripts/typescript.js', 'scripts/build.ts', join(target, 'dist')])
  for (const name of new Set([...names, ...Object.keys(manifest.dependencies)])) if (name !== manifest.name) link(name)
  link('.bin/tsc')
}

function start(t: Test, env: NodeJS.ProcessEnv): Program {
  const { PATH } = process.env
  return new Program(t, [process.execPath, '--env-file=.env', 'dist/server.js'], { cwd: app, env: { PATH, ...env } })
}

const passwords: Record<string, string> = {}

t.test('the steps are numbered, and each says how long it takes: 30 minutes and a little more in all', async (t) => {
  t.same(
    steps.map(({ number }) => number),
    steps.map((_, index) => index + 1)
  )
  const minutes = [...read(PAGE).matchAll(/^\*(\d+) minutes\.\*/gm)].map(([, number]) => Number(number))
  t.equal(minutes.length, steps.length)
  const sum = minutes.reduce((total, each) => total + each)
  t.ok(sum <= 35, `${sum} minutes`)
})

t.test('steps 1 and 2: a project with users', async (t) => {
  mkdirSync(app)
  const [setUp = '', secret = ''] = step(1).commands
  const lines = setUp.split('\n')
  const isInstall = (line: string) => line.startsWith('npm install ')
  const names = lines.filter(isInstall).flatMap((line) => line.split(' ').slice(2))
  shell(lines.filter((line) => !isInstall(line)).join('\n'))
  await install(names.filter((name) => !name.startsWith('--')))
  writeFiles(step(1))
  shell(secret)
  t.match(readFileSync(join(app, '.env'), 'utf8'), /^JWT_SECRET=[0-9a-f]{64}\n$/)
  writeFiles(step(2))
  const printed = shell(step(2).commands[0] as string)
  for (const [, name = '', password = ''] of printed.matchAll(/^(\w+) has the password (\S+)$/gm)) {
    passwords[name] = password
  }
  t.same(Object.keys(passwords), ['ada', 'grace'])
  t.throws(() => shell('node dist/add-user.js __proto__'), /Give a name/)
})

t.test("steps 3 to 5: the tutorial's own tests pass", async (t) => {
  for (const number of [3, 4, 5]) writeFiles(step(number))
  const [command = ''] = step(5).commands
  t.equal(command, 'npm test\n')
  t.match(shell(command), /pass 6\n/)
  t.match(read(PAGE), 'All six tests pass.')
})

t.test('step 6: two windows of the page, and a server that is away for a moment', async (t) => {
  writeFiles(step(6))
  t.equal(step(6).commands[0], 'npm run build\nnode --env-file=.env dist/server.js\n')
  shell('npm run build')
  const PORT = String(await freePort())
  const first = start(t, { PORT })
  await first.listening()
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  const window = async (name: string) => {
    const page = await (await browser.newContext()).newPage()
    page.on('pageerror', (error) => t.fail(error.message))
    await page.goto(`http://localhost:${PORT}/`)
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Password').fill(passwords[name] as string)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByText('Here: ').waitFor()
    const say = async (text: string) => {
      await page.getByLabel('Message').fill(text)
      await page.getByRole('button', { name: 'Send' }).click()
    }
    return { page, say }
  }
  const ada = await window('ada')
  const grace = await window('grace')
  await ada.say('milk?')
  await grace.page.getByText('ada: milk?').waitFor()
  await grace.say('<b>no</b>')
  await ada.page.getByText('grace: <b>no</b>').waitFor()
  t.equal(await ada.page.locator('b').count(), 0, 'a message is text')

  first.child.kill('SIGINT')
  t.same(await first.exited, [0, null])
  await ada.page.getByText('connecting').waitFor()
  await ada.say('written meanwhile')
  await start(t, { PORT }).listening()
  for (const { page } of [ada, grace]) await page.getByText('ada: written meanwhile').waitFor()
  await grace.page.waitForFunction("document.querySelectorAll('li').length === 1")
})

interface Member {
  readonly client: RealtimeClient
  readonly texts: string[]
  readonly gaps: unknown[]
}

t.test('step 7: two workers: a message crosses, and neither SIGTERM loses one', async (t) => {
  const redis = await RedisServer.start(t)
  writeFiles(step(7))
  const [, commands = ''] = step(7).commands
  shell(commands.replace(/^node .*$/m, ''))
  const PORT = String(await freePort())
  // It has precedence over the file that the commands have written.
  const env = { PORT, REDIS_URL: redis.url }
  const first = start(t, env)
  await first.listening(2)
  const origin = `http://127.0.0.1:${PORT}`
  const token = async (name: string) => {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ name, password: passwords[name] })
    return ((await (await fetch(`${origin}/login`, { method: 'POST', headers, body })).json()) as { token: string })
      .token
  }
  const enter = async (name: string): Promise<Member> => {
    const value = await token(name)
    const client = connect(`${origin}/rooms/tea`, { token: () => value, WebSocket, backoff: { first: 50, max: 50 } })
    t.teardown(() => client.close())
    const texts: string[] = []
    const gaps: unknown[] = []
    client.on('publication', ({ data }) => texts.push((data as { text: string }).text))
    client.on('gap', (gap) => gaps.push(gap))
    await new Promise((resolve) => client.on('message', resolve))
    return { client, texts, gaps }
  }
  /** The process of the last handshake. */
  const worker = () => first.logs.filter(({ req }) => req?.url.startsWith('/rooms/tea')).at(-1)?.pid as number

  const ada = await enter('ada')
  const one = worker()
  let grace = await enter('grace')
  while (worker() === one) {
    grace.client.close()
    grace = await enter('grace')
  }
  const two = worker()
  const seen = (text: string) => until(() => grace.texts.includes(text))
  await ada.client.send({ text: '0' })
  await seen('0')

  // The worker of the reader drains while messages arrive.
  let sent = 1
  let isSending = true
  const sending = (async () => {
    for (; isSending; sent++) {
      await ada.client.send({ text: String(sent) })
      // Below the rate of a connection.
      await wait(20)
    }
  })()
  process.kill(two, 'SIGTERM')
  const { pids } = await first.listening(3)
  t.equal(first.times('drained'), 1)
  t.notOk([one, two].includes(pids.at(-1) as number), 'it was replaced')
  isSending = false
  await sending
  await seen(String(sent - 1))

  // All of it ends. What Ada writes waits.
  first.child.kill('SIGTERM')
  t.same(await first.exited, [0, null])
  t.equal(first.times('drained'), 3)
  await until(() => ada.client.state === 'connecting')
  const waiting = [0, 1, 2].map(() => ada.client.send({ text: String(sent++) }))
  await start(t, env).listening(2)
  await Promise.all(waiting)
  await seen(String(sent - 1))
  for (const { texts, gaps } of [ada, grace]) {
    t.same(
      texts,
      Array.from({ length: sent }, (_, index) => String(index))
    )
    t.same(gaps, [])
  }
})

t.test('step 8: each limit of the unit is longer than what it waits for', async (t) => {
  const [[path = '', unit = ''] = []] = Object.entries(step(8).files)
  t.equal(path, '/etc/systemd/system/chat.service')
  const source = step(7).files['src/server.ts'] as string
  const delays = [...source.matchAll(/delay: ([\d_]+)/g)].map(
    ([, delay = '']) => Number(delay.replace('_', '')) / 1_000
  )
  const stop = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])
  t.same([stop, ...delays], [45, 35, 30])
  t.match(read(PAGE), "`TimeoutStopSec` (45 s) is longer than the primary process's `delay` (35 s)")
  const command = /^ExecStart=\/usr\/bin\/node (.*)$/m.exec(unit)?.[1]
  t.ok(step(7).commands[1]?.includes(` ${command}\n`), 'it starts what step 7 starts')
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) return
  const file = join(t.testdir({ 'chat.service': unit.replace('/usr/bin/node', process.execPath) }), 'chat.service')
  t.notMatch(String(spawnSync('systemd-analyze', ['verify', '--man=no', file]).stderr), /chat\.service:/)
})
