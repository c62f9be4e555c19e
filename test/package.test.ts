import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { test } from 'tap'
import { copyPackage, readManifest } from '../scripts/publication.ts'
import { examples } from './docs/pages.ts'
import { Program } from './docs/programs.ts'
import { launchBrowser } from './support/browser.ts'
import { RedisServer } from './support/redis-server.ts'

/*
 * The package as an application gets it: packed, installed beside its declared dependencies and no others (outside
 * of the repository, where a forgotten one would be found), then compiled against and run.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = readManifest()
const folder = mkdtempSync(join(tmpdir(), 'fastify-realtime-'))
const app = join(folder, 'app')

const typescriptApp = `
import Fastify from 'fastify'
import realtime from 'fastify-realtime'
import { shouldReconnect, subprotocols } from 'fastify-realtime/client'
import * as publisher from 'fastify-realtime/publisher'
import * as testing from 'fastify-realtime/testing'

const app = Fastify()
await app.register(realtime, { auth: false })
// @ts-expect-error options are typed
void (() => app.register(realtime, { auth: 1 }))
app.ws('/echo', {}, async (socket) => {
  for await (const message of socket.messages()) socket.sendJson(message)
})
app.ws('/typed', {}, async (socket) => {
  socket.send('text')
  // @ts-expect-error send() wants data: ws's own types have to reach the application
  socket.send()
})
await app.ready()
console.log(typeof app.realtime.publish, shouldReconnect(1012), subprotocols('t').length > 0)
console.log(Object.keys(publisher).length > 0, Object.keys(testing).length > 0)
await app.close()
`

const commonjsApp = `
const fastify = require('fastify')
const realtime = require('fastify-realtime')
const dashboard = require('fastify-realtime/dashboard')

const app = fastify()
app.register(realtime, { auth: false })
app.register(dashboard, { prefix: '/dashboard', key: 'a-key-of-many-characters' })
app.ready().then(async () => {
  console.log((await app.inject('/dashboard/')).statusCode, dashboard.dashboard === dashboard)
  console.log(typeof realtime, typeof app.ws)
  console.log(typeof realtime.forbidden, typeof realtime.ChannelError, realtime.fastifyRealtime === realtime)
  return app.close()
})
`

const typescriptCommonjsApp = `
import realtime, { ChannelError, fastifyRealtime, forbidden } from 'fastify-realtime'
console.log(typeof realtime, realtime === fastifyRealtime, forbidden() instanceof ChannelError)
`

/** Under `exactOptionalPropertyTypes`, what may be undefined can be passed on. */
const exactApp = `
import Fastify from 'fastify'
import realtime, { type Position } from 'fastify-realtime'
import dashboard, { type DashboardOptions } from 'fastify-realtime/dashboard'

const app = Fastify()
await app.register(realtime, { auth: false, redis: process.env.REDIS_URL })
const options: DashboardOptions = { key: process.env.DASHBOARD_KEY, onRequest: undefined }
await app.register(dashboard, { ...options, prefix: '/dashboard' })
app.ws('/live', { queued: true }, async (socket, request) => {
  const since = request.query as Position | undefined
  await socket.subscribe('news', { since })
  for await (const message of socket.messages()) {
    await socket.publish('news', message, { idempotencyKey: socket.messageKey })
    await socket.request(message, { timeout: undefined })
    // @ts-expect-error: it would say nothing of whom, and proves that the option is on
    app.realtime.disconnect({ user: undefined })
  }
})
`

/** A server as people bundle it. With REDIS_URL it publishes with history, which runs a script. */
const bundledApp = `
import Fastify from 'fastify'
import realtime from 'fastify-realtime'
import dashboard from 'fastify-realtime/dashboard'

async function main() {
  const app = Fastify()
  await app.register(realtime, { auth: false, redis: process.env.REDIS_URL })
  app.ws('/echo', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  app.channel('news', { history: { size: 10, ttl: 60000 } })
  await app.register(dashboard, { prefix: '/dashboard', key: 'a-key-of-many-characters' })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { offset } = await app.realtime.publish('news', 1)
  const script = await app.inject('/dashboard/page.js')
  console.log(offset > 0 && script.body.includes('uPlot'))
  await app.close()
}
main()
`

/** An echo that the command of the package loads. */
const echoApp = `
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import realtime from 'fastify-realtime'

const app = Fastify()
await app.register(realtime, { auth: false })
app.get('/echo', { websocket: true }, (socket) => socket.on('message', (data) => socket.send(String(data))))
await app.listen({ port: 0, host: '127.0.0.1' })
const [command, report] = process.argv.slice(2)
const load = ['load', \`ws://127.0.0.1:\${app.server.address().port}/echo\`, '--connections', '5', '--rate', '20']
const { stdout } = await promisify(execFile)(command, [...load, '--duration', '2', '--json', '--report', report])
console.log(stdout)
await app.close()
`

/** What a process has loaded after its imports, and after a registration without Redis. */
const loadingApp = `
import { createRequire } from 'node:module'
import Fastify from 'fastify'
import { createPublisher } from 'fastify-realtime/publisher'

const { cache } = createRequire(import.meta.url)
const hasLoaded = (name) => Object.keys(cache).some((file) => file.includes('/' + name + '/'))
console.log(typeof createPublisher, hasLoaded('ws'), hasLoaded('ioredis'))
const { default: realtime } = await import('fastify-realtime')
const app = Fastify()
await app.register(realtime, { auth: false })
await app.ready()
console.log(hasLoaded('ws'), hasLoaded('ioredis'))
await app.close()
`

test('the packed package', async (t) => {
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const packed = await pack()

  await t.test('holds what its manifest names, and no sources', async (t) => {
    const files = packed.files
    t.ok(files.includes('README.md') && files.includes('LICENSE'))
    const targets = Object.values(manifest.exports)
    for (const target of targets.flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(entry)))) {
      t.ok(files.includes(target.slice(2)), target)
    }
    // For resolution `node10`, which does not read `exports`.
    const entries = Object.entries(manifest.exports as Record<string, { types?: string }>)
    const subpaths = entries.filter(([path, { types }]) => path !== '.' && types !== undefined)
    t.same(
      (manifest.typesVersions as Record<string, unknown>)['*'],
      Object.fromEntries(subpaths.map(([path, { types }]) => [path.slice(2), [types]]))
    )
    t.same(
      files.filter((name) => /^(lib|test|demo|scripts)\//.test(name)),
      []
    )
  })

  await t.test('is under 400 KB, without pictures, and with one README', async (t) => {
    t.ok(packed.bytes < 400_000, `${packed.bytes} bytes`)
    t.same(
      packed.files.filter((name) => /^README/i.test(name)),
      ['README.md']
    )
    t.same(
      packed.files.filter((name) => /\.(png|jpe?g|gif|webp|svg|mp4)$/.test(name)),
      []
    )
  })

  await t.test(
    'is a few files of JavaScript, and only the declarations that an application can refer to',
    async (t) => {
      const scripts = packed.files.filter((name) => /\.c?js$/.test(name))
      t.ok(scripts.length <= 16, scripts.join(' '))
      t.ok(packed.files.includes('dist/index.d.ts'))
      t.notOk(packed.files.includes('dist/handshake/gate.d.ts'))
    }
  )

  await install(packed.tarball)

  await t.test('loads ioredis for Redis only, and no ws for a publisher', async (t) => {
    writeFileSync(join(app, 'loading.js'), loadingApp)
    t.equal(await run(process.execPath, ['loading.js']), 'function false false\ntrue false\n')
  })

  await t.test('compiles with `exactOptionalPropertyTypes`', async () => {
    await compile({ 'exact.ts': exactApp }, ['--exactOptionalPropertyTypes', '--noEmit'])
  })

  await t.test('case 169: compiles into ES modules and into CommonJS, and so does what the README says', async (t) => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    const example = readme.match(/^## Example\n.*?^```ts\n(.*?)^```/ms)?.[1] ?? ''
    t.match(example, "from 'fastify-realtime'")
    for (const [, name = ''] of example.matchAll(/from '((?:@[\w-]+\/)?[\w-]+)'/g)) link(name)
    await compile({ 'app.ts': typescriptApp, 'commonjs.cts': typescriptCommonjsApp, 'readme.ts': example })
    t.equal(await run(process.execPath, ['app.js']), 'function true true\ntrue true\n')
    t.equal(await run(process.execPath, ['commonjs.cjs']), 'function true true\n')
  })

  await t.test('is required by a CommonJS application', async (t) => {
    writeFileSync(join(app, 'app.cjs'), commonjsApp)
    t.equal(await run(process.execPath, ['app.cjs']), '200 true\nfunction function\nfunction function true\n')
  })

  await t.test('serves the chat of docs/client.md, a server and a page without a build', async (t) => {
    const chat = examples('docs/client.md', ['js']).find(({ heading }) => heading === '## Without a bundler')
    writeFileSync(join(app, 'chat.cjs'), chat?.source as string)
    const program = new Program(t, [process.execPath, 'chat.cjs'], {
      cwd: app,
      env: { PATH: process.env.PATH, PORT: '0' }
    })
    const { port } = await program.listening()
    const browser = await launchBrowser()
    t.teardown(() => browser.close())
    const pages = await Promise.all([browser.newPage(), browser.newPage()])
    for (const page of pages) await page.goto(`http://localhost:${port}/`)
    for (const [index, page] of pages.entries()) {
      await page.fill('input', `<b>message</b> of ${index}`)
      await page.click('button')
      // Its own message shows that a page has subscribed, before the other one sends.
      await page.waitForSelector('li')
    }
    await pages[0]?.waitForFunction("document.querySelectorAll('li').length === 2")
    t.same(await pages[0]?.locator('li').allTextContents(), ['<b>message</b> of 0', '<b>message</b> of 1'])
  })

  await t.test('has a command that loads a server', async (t) => {
    const command = join(
      app,
      'node_modules',
      manifest.name,
      (manifest.bin as Record<string, string>)[manifest.name] as string
    )
    t.match(await run(command, ['load', '--help']), /^Usage: fastify-realtime load /)
    writeFileSync(join(app, 'echo.js'), echoApp)
    const report = join(folder, 'report.html')
    t.match(await run(process.execPath, ['echo.js', command, report]), '"delivered":40,"lost":0')
    t.match(readFileSync(report, 'utf8'), 'uPlot')
  })

  await t.test('case 168: a server that is bundled into one file starts, with and without Redis', async (t) => {
    const redis = await RedisServer.start(t)
    const entry = join(app, 'server.mjs')
    writeFileSync(entry, bundledApp)
    // Outside of the application: nothing of it can be found there.
    const alone = join(folder, 'bundled')
    mkdirSync(alone)
    for (const [format, file] of [
      ['esm', 'server.mjs'],
      ['cjs', 'server.cjs']
    ] as const) {
      const outfile = join(alone, file)
      const banner = "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)"
      const { warnings } = await build({
        entryPoints: [entry],
        bundle: true,
        platform: 'node',
        format,
        outfile,
        logLevel: 'silent',
        banner: format === 'esm' ? { js: banner } : {}
      })
      t.same(
        warnings.filter(({ location }) => location?.file.includes(`node_modules/${manifest.name}/`)),
        []
      )
      t.equal(await run(process.execPath, [file], alone), 'true\n', `${format}, in memory`)
      t.equal(await run(process.execPath, [file], alone, { REDIS_URL: redis.url }), 'true\n', `${format}, with Redis`)
    }
  })
})

/** Builds and packs in a copy, so that tests which run meanwhile keep their `dist`. */
async function pack(): Promise<{ tarball: string; files: string[]; bytes: number }> {
  const copy = join(folder, 'package')
  copyPackage(copy, manifest)
  await run(process.execPath, ['--import=./scripts/typescript.js', 'scripts/build.ts', join(copy, 'dist')], root)
  const answer = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], copy)
  const [{ filename, files, size }] = JSON.parse(answer)
  return { tarball: join(folder, filename), files: files.map(({ path }: { path: string }) => path), bytes: size }
}

async function install(tarball: string): Promise<void> {
  const target = join(app, 'node_modules', manifest.name)
  mkdirSync(target, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', target, '--strip-components=1'])
  for (const name of Object.keys(manifest.dependencies)) link(name)
  // Of the peers only the one that is not optional; and what every TypeScript application on Node has.
  for (const name of ['fastify', '@types/node', '@types/ws']) link(name)
  writeFileSync(join(app, 'package.json'), '{ "type": "module" }')
}

/** Puts one of the repository's packages into the application. */
function link(name: string): void {
  const path = join(app, 'node_modules', name)
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(join(root, 'node_modules', name), path)
}

/** One run of the compiler, which takes seconds. Of what each file says, nothing is seen by the others. */
async function compile(sources: Readonly<Record<string, string>>, more: readonly string[] = []): Promise<void> {
  for (const [name, source] of Object.entries(sources)) writeFileSync(join(app, name), source)
  const options = [
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--types',
    'node',
    '--skipLibCheck',
    'false'
  ]
  await run(join(root, 'node_modules/.bin/tsc'), [...options, ...more, ...Object.keys(sources)])
}

/** Answers what the command printed; rejects with all of it if it failed. */
async function run(command: string, args: readonly string[], cwd = app, env: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    // tap loads its measuring into every child process, by NODE_OPTIONS. tsc can't start with it.
    return (
      await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', command, ...args], {
        cwd,
        env: { ...process.env, ...env }
      })
    ).stdout
  } catch (error) {
    const { message, stdout } = error as Error & { stdout: string }
    throw new Error(`${message}\n${stdout}`)
  }
}
