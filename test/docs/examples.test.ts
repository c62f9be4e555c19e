import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { createInterface } from 'node:readline'
import Fastify from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import { connect, disposeAll, testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { anchors, type Example, examples, pages, read, root, translations } from './pages.ts'
import { ENTRIES, localized, run } from './programs.ts'

/*
 * The examples of the README and the docs: type-checked as they stand, each a module of its own, and the README's run
 * against each other. Those of docs/testing.md are run by test/testing/docs.test.ts, and those of docs/tutorial.md by
 * tutorial.test.ts.
 */

/** Claims that an application has declared: what it may do with them, and what not. */
const DECLARED = `
import type { FastifyInstance } from 'fastify'
import realtime, { type AuthOptions, type Claims, type ConnectContext, type RealtimeOptions, type RealtimeSocket } from 'fastify-realtime'

declare module 'fastify-realtime' {
  interface FastifyRealtimeClaims {
    role: 'member' | 'admin'
  }
}
export function use(app: FastifyInstance, socket: RealtimeSocket, context: ConnectContext) {
  const roles: ('member' | 'admin' | undefined)[] = [socket.user?.role, context.user?.role]
  app.channel('a/:b', { onSubscribe: ({ user }) => void roles.push(user?.role) })
  app.rpc('c', ({ user }) => void roles.push(user?.role))
  // @ts-expect-error: no such claim
  socket.user?.rolle
  // @ts-expect-error: no such role
  return socket.user?.role === 'owner'
}
export function registers(app: FastifyInstance, options: RealtimeOptions) {
  return app.register(realtime, options)
}
export const claims: Claims = { sub: 'ada', role: 'admin' }
export const auth: AuthOptions = { verify: async (sub) => ({ sub, role: 'member' }) }
// @ts-expect-error: without the role
export const bad: AuthOptions = { verify: (sub) => ({ sub }) }
`
const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  module: 'nodenext',
  target: 'es2023',
  lib: ['es2023', 'dom'],
  types: ['node'],
  allowJs: true,
  checkJs: true,
  noEmit: true
}
// A snippet for a browser's console has no imports: without `moduleDetection` it would be a script.
const BUNDLER = { module: 'esnext', moduleResolution: 'bundler', moduleDetection: 'force' }
const COMMONJS = { module: 'commonjs', moduleResolution: 'bundler' }
/** Each entry of the package, so that the declarations of all of them are checked. */
const EVERY_ENTRY = Object.keys(ENTRIES)
  .map((name, index) => `export * as entry${index} from '${name}'\n`)
  .join('')
const tsc = join(root, 'node_modules/.bin/tsc')

t.test('case 173: every example compiles under the strictest options, however modules are resolved', async (t) => {
  const found = pages()
    .filter((page) => page !== 'docs/testing.md' && page !== 'docs/tutorial.md')
    .flatMap((page) => examples(page, ['ts', 'js']))
  t.ok(found.length > 10)
  const sources = new Map(
    found.map(({ place, language, source }) => [
      `${place.replace(/\W/g, '_')}${language === 'ts' ? '.ts' : '.cjs'}`,
      source
    ])
  )
  sources.set('declared.ts', DECLARED)
  sources.set('entries.ts', EVERY_ENTRY)
  // What an application gets is not the sources but their declarations, which may import less.
  const folder = t.testdir({})
  await run(tsc, ['-p', join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', join(folder, 'types')])
  for (const [name, source] of sources) writeFileSync(join(folder, name), source)
  const names = [...sources.keys()]
  // What one of them declares for the whole package would hold for all: each of those is compiled by itself.
  const declares = (name: string) => sources.get(name)?.includes("declare module 'fastify-realtime'")
  const others = names.filter((name) => !declares(name))
  const projects: Record<string, { options: object; files: string[] }> = {
    nodenext: { options: {}, files: others },
    bundler: { options: BUNDLER, files: others.filter((name) => name.endsWith('.ts')) },
    // CommonJS has no top-level await.
    commonjs: {
      options: COMMONJS,
      files: others.filter((name) => name.endsWith('.ts') && !/^(?=\S).*\bawait\b/m.test(sources.get(name) as string))
    }
  }
  for (const name of names.filter(declares)) projects[`alone-${name}`] = { options: {}, files: [name] }
  t.ok(projects['alone-declared.ts'] !== undefined && Object.keys(projects).length > 4)
  t.ok((projects.commonjs?.files.length ?? 0) > 5)
  for (const [name, { options, files }] of Object.entries(projects)) {
    const compilerOptions = {
      ...STRICT,
      paths: Object.fromEntries(Object.entries(ENTRIES).map(([name, path]) => [name, [`./types/${path}.d.ts`]])),
      ...options
    }
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ compilerOptions, files }))
  }
  t.equal(await run(tsc, ['-b', ...Object.keys(projects).map((name) => join(folder, `${name}.json`))]), '0 ')
})

t.test('the example of the README serves its snippet for browsers', async (t) => {
  const [server, page] = examples('README.md', ['ts']) as [Example, Example]
  t.equal(server.heading, '## Example')
  t.equal(page.heading, '### In the browser')
  t.ok(server.source.trim().split('\n').length <= 27, 'it is short')
  const folder = t.testdir({ 'server.ts': localized(server.source), 'page.ts': browser(localized(page.source)) })

  const first = start(t, join(folder, 'server.ts'), { PORT: '0' })
  const listening = await line(first, /Server listening at (http:\/\/127\.0\.0\.1:\d+)/)
  const second = start(t, join(folder, 'page.ts'), { ORIGIN: listening[1] as string })
  const printed = await line(second, /.+/)
  t.same(JSON.parse(printed[0]), { channel: 'boards/1', data: { points: [0, 0, 9, 9], colour: 'red' } })
  const exited = once(first, 'exit')
  first.kill('SIGTERM')
  t.same(await exited, [0, null], 'it drains on SIGTERM, and ends by itself')
})

t.test('case 166: the files of docs/coexistence.md are served as fastify-cli loads them', async (t) => {
  const found = examples('docs/coexistence.md', ['js', 'ts']).filter(({ heading, source }) => {
    // Those for CommonJS are type-checked above: the sources of the package can't be required.
    return heading === '### With fastify-cli' && !source.includes("'use strict'")
  })
  const files = Object.fromEntries(
    found.map(({ source }) => [/^\/\/ (\S+)/.exec(source)?.[1]?.replaceAll('/', '_'), localized(source)])
  )
  const templates = [
    ['plugins_realtime.js', 'routes_live_index.js'],
    ['src_plugins_realtime.ts', 'src_routes_live_index.ts']
  ]
  t.same(Object.keys(files), templates.flat())
  const folder = t.testdir(files)
  for (const names of templates) {
    const [plugin, routes] = await Promise.all(names.map(async (name) => (await import(join(folder, name))).default))
    const root = Fastify()
    t.teardown(async () => {
      await disposeAll(root)
      await root.close()
    })
    root.register(async (app) => {
      app.register(plugin)
      app.register(routes, { prefix: '/live' })
    })
    await root.ready()
    const live = await connect(root, '/live')
    live.sendRaw('1')
    t.same(await live.next(), { echo: 1 })
    const client = await connect(root, '/connection/websocket')
    client.sendRaw('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"live/news"}}')
    for (const id of [1, 2]) t.match(await client.next(), { id })
  }
})

t.test('the example of docs/operations.md drains on SIGTERM, and ends by itself', async (t) => {
  const [program] = examples('docs/operations.md', ['ts']) as [Example]
  t.equal(program.heading, '## Draining')
  const folder = t.testdir({ 'server.ts': localized(program.source) })
  const child = start(t, join(folder, 'server.ts'), { PORT: '0' })
  const [, port] = await line(child, /Server listening at http:\/\/127\.0\.0\.1:(\d+)/)
  t.match(await (await fetch(`http://127.0.0.1:${port}/ready`)).json(), { ready: true })
  const client = new WebSocket(`ws://127.0.0.1:${port}/echo`)
  await once(client, 'open')
  const exited = once(child, 'exit')
  const closed = once(client, 'close')
  child.kill('SIGTERM')
  t.match(String(await once(client, 'message')), '"draining"')
  t.match(await closed, [1012])
  t.same(await exited, [0, null])
})

t.test('the example of docs/dashboard.md serves the page, and figures for the key', async (t) => {
  const [program] = examples('docs/dashboard.md', ['ts']) as [Example]
  const folder = t.testdir({ 'server.ts': localized(program.source) })
  const key = 'a-key-of-many-characters'
  const child = start(t, join(folder, 'server.ts'), { PORT: '0', DASHBOARD_KEY: key })
  const [, port] = await line(child, /Server listening at http:\/\/127\.0\.0\.1:(\d+)/)
  const address = `http://127.0.0.1:${port}/ops/dashboard`
  t.match(await (await fetch(address)).text(), '<title>Dashboard</title>')
  const depths = (authorization: string) =>
    fetch(`${address}/depths`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: '{"channels":[]}'
    })
  t.equal((await depths('Bearer wrong')).status, 401)
  t.same(await (await depths(`Bearer ${key}`)).json(), {})
})

t.test('case 126: the examples of docs/cookies-and-sessions.md let a browser in by its cookie', async (t) => {
  const programs = examples('docs/cookies-and-sessions.md', ['ts'])
  t.same(
    programs.map(({ heading }) => heading),
    ['## A session', '## A JWT in a cookie']
  )
  for (const { heading, source } of programs) {
    await t.test(heading, async (t) => {
      const child = start(t, join(t.testdir({ 'server.ts': localized(source) }), 'server.ts'), { PORT: '0' })
      const [, port] = await line(child, /Server listening at http:\/\/127\.0\.0\.1:(\d+)/)
      const url = `http://127.0.0.1:${port}`
      const post = (path: string, cookie = '') => fetch(`${url}${path}`, { method: 'POST', headers: { cookie } })
      const login = await post('/login')
      const cookie = (login.headers.get('set-cookie') as string).split(';')[0] as string
      t.match(login.headers.get('set-cookie'), /HttpOnly/)
      const open = (headers: Record<string, string>, origin = url) =>
        new WebSocket(`${url.replace('http', 'ws')}/live`, { headers, origin })
      const socket = open({ cookie })
      const [message] = await once(socket, 'message')
      t.same(JSON.parse(String(message)), { user: 'ada' })
      t.match(await once(open({}), 'close'), [4401], 'without the cookie')
      t.match(await once(open({ cookie: `${cookie}x` }), 'close'), [4401], 'with another one')
      const [, response] = await once(open({ cookie }, 'https://evil.example'), 'unexpected-response')
      t.equal(response.statusCode, 403, 'from a page of another origin')
      response.destroy()
      const closed = once(socket, 'close')
      t.equal((await post('/logout', cookie)).status, 200)
      t.match(await closed, [4403], 'ended with the session')
    })
  }
})

t.test('the examples of docs/client.md', async (t) => {
  const [rooms, room, orders, order] = examples('docs/client.md', ['ts']) as [Example, Example, Example, Example]
  const folder = t.testdir({
    'rooms.ts': localized(rooms.source),
    'room.ts': browser(localized(room.source)),
    'orders.ts': localized(orders.source),
    'order.ts': browser(localized(order.source))
  })
  const { app } = await buildApp(t, { drain: { window: 0 } })
  await app.register(async (scope) => {
    await (await import(join(folder, 'rooms.ts'))).rooms(scope)
  })
  app.post('/token', async () => testToken())
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const first = start(t, join(folder, 'room.ts'), { ORIGIN: origin })
  t.same(JSON.parse((await line(first, /.*rooms.*/))[0]), ['rooms/tea', { text: 'milk?' }])

  // That example is of a page without tokens.
  const anonymous = await buildApp(t, { auth: false, drain: { window: 0 } })
  await anonymous.app.register(async (scope) => {
    await (await import(join(folder, 'orders.ts'))).orders(scope)
  })
  const second = start(t, join(folder, 'order.ts'), {
    ORIGIN: await anonymous.app.listen({ port: 0, host: '127.0.0.1' })
  })
  t.same(JSON.parse((await line(second, /.*state.*/))[0]), { state: 'packed' })
})

t.test('the client of docs/sockets.md', async (t) => {
  const [client] = examples('docs/sockets.md', ['ts']).slice(-1) as [Example]
  t.equal(client.heading, '## Clients')
  const file = join(t.testdir({ 'live.ts': localized(client.source) }), 'live.ts')
  const { live } = (await import(file)) as {
    live(url: string, getToken: () => Promise<string>, onMessage: (message: unknown) => void): { close(): void }
  }
  const { app } = await buildApp(t, { drain: { window: 0 } })
  let connections = 0
  app.ws('/live', async (socket) => {
    socket.sendJson({ connection: ++connections })
    if (connections === 1) socket.close(1012, 'again')
    for await (const _ of socket.messages());
  })
  const globals = globalThis as { WebSocket?: unknown }
  const before = globals.WebSocket
  globals.WebSocket = WebSocket
  t.teardown(() => {
    globals.WebSocket = before
  })
  const messages: unknown[] = []
  let started: { close(): void } | undefined
  const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/live`
  await new Promise<void>((resolve) => {
    const onMessage = (message: unknown) => {
      if (messages.push(message) === 2) resolve()
    }
    started = live(url, async () => testToken(), onMessage)
  })
  started?.close()
  t.same(messages, [{ connection: 1 }, { connection: 2 }], 'it comes back after a close that says so')
})

t.test('links lead somewhere', async (t) => {
  for (const page of [...pages(), ...translations]) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : normalize(join(dirname(page), path))
      t.ok(existsSync(join(root, file)), `${page}: ${target}`)
      if (anchor !== undefined) t.ok(anchors(file).includes(anchor), `${page}: ${target}`)
    }
  }
})

t.test('no merge is left half done', async (t) => {
  // docs/operations.md was once published with both sides of one.
  for (const page of pages()) t.same(read(page).match(/^(<<<<<<<|=======$|>>>>>>>).*/gm) ?? [], [], page)
})

/** What a page has and Node 20 has not; and what is logged, as one line of JSON. */
function browser(source: string): string {
  return `
import { WebSocket as ws } from 'ws'
const origin = process.env.ORIGIN
globalThis.location = { origin, href: \`\${origin}/\` }
globalThis.WebSocket = class extends ws {
  constructor(url, protocols) {
    super(url, protocols, { origin })
  }
}
const { fetch: fetchWhole } = globalThis
console.log = (...values) =>
  process.stdout.write(\`\${JSON.stringify(values.length === 1 ? values[0] : values)}\\n\`)
globalThis.fetch = (path, options) => fetchWhole(new URL(path, origin), options)
${source}`
}

/** Starts a file with the flags of this process, which let Node run TypeScript; it ends with the test. */
function start(t: { teardown(fn: () => unknown): void }, file: string, env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [...process.execArgv, file], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(async () => {
    if (child.exitCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  return child
}

/** The first line of a child's output that matches. */
async function line(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  for await (const text of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const match = pattern.exec(text)
    if (match !== null) return match
  }
  throw new Error(`The process ended without a line like ${pattern}`)
}
