import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { manifests } from '../support/manifests.ts'
import { code, type Example, examples, read, root, table } from './pages.ts'
import { localized, Program } from './programs.ts'

/*
 * The recipes of docs/deploying.md. Those that can run on any machine are run, with real signals; the others are checked
 * as strictly as their format allows.
 */

const PAGE = 'docs/deploying.md'
const NODE = [process.execPath, ...process.execArgv]
const FASTIFY_CLI = join(root, 'node_modules/fastify-cli/cli.js')
const CROWD = 200

function recipe(heading: string, language: string): Example {
  const [found, ...more] = examples(PAGE, [language]).filter((example) => example.heading === `## ${heading}`)
  if (found === undefined || more.length > 0) throw new Error(`one block of ${language} belongs under ${heading}`)
  return found
}

const server = recipe('close-with-grace', 'ts')
const [, cliOptions = ''] = /^fastify start (.*) app\.js$/m.exec(recipe('fastify-cli', 'sh').source) ?? []

/** What a client saw from its start to its end. */
interface Seen {
  readonly notices: unknown[]
  readonly code: number
}

/** Opens so many connections to /echo, each of which has had an answer. */
async function crowd(port: number, count: number): Promise<Promise<Seen>[]> {
  const joined = Array.from({ length: count }, async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/echo`)
    socket.on('error', () => {})
    const notices: unknown[] = []
    socket.on('message', (data) => {
      const message = JSON.parse(String(data))
      if (message.notice !== undefined) notices.push(message.notice.code)
    })
    const end = once(socket, 'close').then(([code]): Seen => ({ notices, code }))
    await once(socket, 'open')
    socket.send('"here"')
    await once(socket, 'message')
    return { end }
  })
  return (await Promise.all(joined)).map(({ end }) => end)
}

/** As an application's process has it, but on a free port and without Redis. */
function environment(): NodeJS.ProcessEnv {
  const { REDIS_URL: _, ...env } = process.env
  return { ...env, PORT: '0' }
}

function start(t: Test, source: string, env: NodeJS.ProcessEnv = {}): Program {
  const cwd = t.testdir({ 'server.ts': localized(source) })
  return new Program(t, [...NODE, 'server.ts'], { cwd, env: { ...environment(), ...env } })
}

function startCli(t: Test, options: string): Program {
  const cwd = t.testdir({ 'app.js': localized(recipe('fastify-cli', 'js').source) })
  const args = [...options.split(' '), '-a', '127.0.0.1', 'app.js']
  return new Program(t, [...NODE, FASTIFY_CLI, 'start', ...args], { cwd, env: environment() })
}

t.test('close-with-grace: a signal drains, and the process ends with 0', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    await t.test(signal, async (t) => {
      const program = start(t, server.source)
      const { port } = await program.listening()
      t.same(await (await fetch(`http://127.0.0.1:${port}/health`)).json(), { healthy: true })
      t.same(await (await fetch(`http://127.0.0.1:${port}/ready`)).json(), { ready: true })
      const ends = await crowd(port, 3)
      program.child.kill(signal)
      for (const end of ends) t.same(await end, { notices: ['draining'], code: 1012 })
      t.same(await program.exited, [0, null])
    })
  }
})

t.test('close-with-grace: /ready says 503 during the drain, and a second signal ends it at once', async (t) => {
  const program = start(t, server.source)
  const { port } = await program.listening()
  const socket = new WebSocket(`ws://127.0.0.1:${port}/echo`)
  socket.on('error', () => {})
  await once(socket, 'open')
  const notice = once(socket, 'message')
  program.child.kill('SIGTERM')
  t.match(String(await notice), '"draining"')
  // It does not answer the close, so the drain goes on until the second signal.
  socket.pause()
  const ready = await fetch(`http://127.0.0.1:${port}/ready`)
  t.same([ready.status, await ready.json()], [503, { ready: false }])
  t.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200)
  program.child.kill('SIGTERM')
  t.same(await program.exited, [1, null])
  t.equal(program.times('drained'), 0)
  socket.terminate()
})

t.test('case 167: fastify-cli without -g ends after 500 ms, and has warned all 200 clients', async (t) => {
  const program = startCli(t, cliOptions.replace(/-g \d+ /, ''))
  const { port } = await program.listening()
  const ends = await crowd(port, CROWD)
  program.child.kill('SIGTERM')
  const seen = await Promise.all(ends)
  t.equal(seen.filter(({ notices }) => notices.length === 1).length, CROWD, 'each was warned, once')
  t.ok(
    seen.some(({ code }) => code === 1006),
    'it was ended before it had closed all of them'
  )
  t.same(await program.exited, [1, null])
})

t.test('fastify-cli with -g drains, and ends with 0', async (t) => {
  const program = startCli(t, cliOptions)
  const { port } = await program.listening()
  const ends = await crowd(port, 3)
  program.child.kill('SIGTERM')
  for (const end of ends) t.same(await end, { notices: ['draining'], code: 1012 })
  t.same(await program.exited, [0, null])
  t.equal(program.times('drained'), 1)
})

t.test('node:cluster: a worker that dies is replaced, and one signal drains all', async (t) => {
  const program = start(t, recipe('node:cluster', 'ts').source, { WORKERS: '2' })
  const { port, pids: first } = await program.listening(2)
  t.equal(new Set(first).size, 2)
  t.notOk(first.includes(program.child.pid as number), 'the primary process serves nothing')
  process.kill(first[0] as number, 'SIGKILL')
  const { pids } = await program.listening(3)
  t.equal(new Set(pids).size, 3)
  const ends = await crowd(port, 6)
  program.child.kill('SIGTERM')
  for (const end of ends) t.same(await end, { notices: ['draining'], code: 1012 })
  t.same(await program.exited, [0, null])
  t.equal(program.times('drained'), 2, 'both workers')
})

/*
 * The command as a container runs it: the first process of its PID namespace, whose signals the kernel ignores unless
 * it listens for them; a user without rights; a root that cannot be written to. It is one bundled file, since that user
 * need not be able to read a checkout.
 */
const NOBODY = 65534
const CONTAINER = [
  ...['unshare', '--pid', '--fork', '--kill-child', '--mount', '--mount-proc', 'sh', '-c'],
  'mount -o remount,bind,ro / && exec setpriv ' +
    `--reuid=${NOBODY} --regid=${NOBODY} --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"`,
  'sh'
]

t.test('Docker: the command as the first process, without rights, on a read-only root', async (t) => {
  const command = JSON.parse(/^CMD (\[.*\])$/m.exec(recipe('Docker', 'dockerfile').source)?.[1] as string) as string[]
  t.same(command, ['node', 'server.js'])
  const cwd = mkdtempSync(join(tmpdir(), 'container-'))
  t.teardown(() => rmSync(cwd, { recursive: true }))
  chmodSync(cwd, 0o755)
  writeFileSync(join(cwd, 'package.json'), '{"type":"module"}')
  await build({
    stdin: { contents: localized(server.source), resolveDir: root, loader: 'ts' },
    outfile: join(cwd, 'server.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" },
    logLevel: 'error'
  })
  // The published package has the scripts in its JavaScript; the sources read them.
  cpSync(join(root, 'lib/broker/lua'), join(cwd, 'lua'), { recursive: true })

  // tap's measuring, which it loads by NODE_OPTIONS, writes a file when the process exits.
  const real = ['env', '-u', 'NODE_OPTIONS', process.execPath, ...command.slice(1)]
  // Unsharing needs a right that many machines do not give (a container without privileges, a user other than root,
  // another system than Linux). There the same command runs without the namespaces, and all else is asserted.
  const isolated =
    spawnSync(CONTAINER[0] as string, [...CONTAINER.slice(1), ...real.slice(0, -1), '--version']).status === 0
  const program = new Program(t, isolated ? [...CONTAINER, ...real] : real, {
    cwd,
    env: { PATH: process.env.PATH, PORT: '0' }
  })
  const { port, pids } = await program.listening()
  const { pid } = program.child
  const outside = isolated ? Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')) : (pid as number)
  t.same(pids, [isolated ? 1 : pid], 'it is the first process of its namespace')
  if (isolated) {
    const status = readFileSync(`/proc/${outside}/status`, 'utf8')
    t.match(status, new RegExp(`^Uid:\\s+${NOBODY}\\s`, 'm'))
    t.match(status, /^CapEff:\s+0+$/m)
    t.match(readFileSync(`/proc/${outside}/mountinfo`, 'utf8'), /^\S+ \S+ \S+ \S+ \/ ro\b/m)
  }
  const ends = await crowd(port, 3)
  process.kill(outside, 'SIGTERM')
  for (const end of ends) t.same(await end, { notices: ['draining'], code: 1012 })
  t.same(await program.exited, [0, null])
})

t.test('Docker: the image', async (t) => {
  const lines = recipe('Docker', 'dockerfile').source.trim().split('\n')
  const instructions = lines.map((line) => line.split(' ')[0])
  t.same(instructions, ['FROM', 'ENV', 'WORKDIR', 'COPY', 'RUN', 'COPY', 'USER', 'EXPOSE', 'CMD'])
  t.equal(lines.at(-3), 'USER node')
  t.match(lines[0], /^FROM node:(2[2-9]|[3-9]\d)-slim$/, 'a version that the package runs on')
})

t.test('every grace period is longer than what it waits for', async (t) => {
  const option = table('docs/options.md', 'option').find((row) => code(row.option) === 'drain.timeout')
  const drain = Number(code(option?.default)) / 1_000
  t.ok(drain > 0)
  const seconds = (pattern: RegExp, text: string): number => {
    const number = Number(pattern.exec(text)?.[1]?.replaceAll('_', ''))
    t.ok(number > 0, String(pattern))
    return number >= 1_000 ? number / 1_000 : number
  }
  const delay = seconds(/delay: ([\d_]+)/, server.source)
  const [primary = 0, worker = 0] = [...recipe('node:cluster', 'ts').source.matchAll(/delay: [\d_]+/g)].map(([all]) =>
    seconds(/delay: ([\d_]+)/, all)
  )
  const { spec } = manifests().Deployment.spec.template
  const preStop = Number(spec.containers[0].lifecycle.preStop.exec.command[1])
  t.ok(delay > drain, 'close-with-grace')
  t.ok(seconds(/-g (\d+)/, cliOptions) > drain, 'fastify-cli')
  t.ok(worker > drain && primary > worker, 'node:cluster')
  t.ok(seconds(/--stop-timeout (\d+)/, recipe('Docker', 'sh').source) > delay, 'Docker')
  t.ok(spec.terminationGracePeriodSeconds > preStop + delay, 'Kubernetes')
  t.ok(seconds(/kill_timeout: ([\d_]+)/, recipe('pm2', 'js').source) > delay, 'pm2')
  t.ok(seconds(/^TimeoutStopSec=(\d+)$/m, recipe('systemd', 'ini').source) > delay, 'systemd')
  t.ok(read(PAGE).includes(`| \`drain.timeout\` | ${drain} s | ${drain} s |`))
})

t.test('pm2: the file has documented keys only', async (t) => {
  const { source } = recipe('pm2', 'js')
  const file = join(t.testdir({ 'ecosystem.config.cjs': source }), 'ecosystem.config.cjs')
  const { apps, ...rest } = createRequire(import.meta.url)(file) as { apps: Record<string, unknown>[] }
  t.same(rest, {})
  t.strictSame(apps, [
    {
      name: 'realtime',
      script: 'server.js',
      exec_mode: 'cluster', // or `fork`
      instances: 2,
      kill_timeout: 45_000, // milliseconds
      env: { NODE_ENV: 'production', PORT: '3000' }
    }
  ])
})

/** The keys that the unit may have, each with the values that systemd.service(5), .exec(5), .kill(5) and .unit(5) allow. */
const UNIT: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  Unit: {
    Description: /./,
    Wants: /^[\w-]+\.target$/,
    After: /^[\w-]+\.target$/
  },
  Service: {
    Type: /^(simple|exec|forking|oneshot|dbus|notify|notify-reload|idle)$/,
    WorkingDirectory: /^\//,
    ExecStart: /^\/\S+ server\.js$/,
    Environment: /^\w+=\S+( \w+=\S+)*$/,
    EnvironmentFile: /^-?\//,
    DynamicUser: /^(yes|no)$/,
    KillMode: /^(control-group|mixed|process|none)$/,
    TimeoutStopSec: /^\d+$/,
    Restart: /^(no|on-success|on-failure|on-abnormal|on-watchdog|on-abort|always)$/,
    RestartSec: /^\d+$/,
    LimitNOFILE: /^\d+$/,
    NoNewPrivileges: /^(yes|no)$/,
    ProtectSystem: /^(yes|no|full|strict)$/,
    ProtectHome: /^(yes|no|read-only|tmpfs)$/,
    PrivateTmp: /^(yes|no)$/
  },
  Install: { WantedBy: /^[\w-]+\.target$/ }
}

t.test('systemd: the unit is valid', async (t) => {
  const { source } = recipe('systemd', 'ini')
  let section = ''
  for (const line of source.split('\n').filter((line) => line !== '')) {
    const header = /^\[(\w+)\]$/.exec(line)?.[1]
    if (header !== undefined) section = header
    const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? []
    if (header === undefined) t.match(value, UNIT[section]?.[key] ?? /^no such key$/, `${section}.${key}`)
  }
  t.match(source, /^KillMode=mixed$/m)

  // Nothing else knows all of systemd's rules. On a machine without it, the keys above are what is checked.
  const unit = source.replace('/usr/bin/node', process.execPath)
  const folder = t.testdir({ 'realtime.service': unit, 'wrong.service': unit.replace('KillMode=', 'KillMod=') })
  const verify = (name: string) => spawnSync('systemd-analyze', ['verify', '--man=no', join(folder, name)])
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) return
  t.notMatch(String(verify('realtime.service').stderr), /realtime\.service/)
  t.match(String(verify('wrong.service').stderr), /wrong\.service.*KillMod/)
})
