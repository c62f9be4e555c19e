import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { build, transformSync } from 'esbuild'
import { test } from 'tap'
import { deadExports, importsOf, unusedRows, violations } from './support/layout.ts'

const lib = new URL('../lib/', import.meta.url)
// Generated code is JavaScript with its declarations, imports nothing (test/protocol/generated), and is not looked at.
const isSource = (name: string) => name.endsWith('.ts') && !name.endsWith('.d.ts')
const files = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter(isSource)
const sources = new Map(files.map((name) => [name.replaceAll('\\', '/'), readFileSync(new URL(name, lib), 'utf8')]))
// They hand on what others do, or hold nothing but types, or numbers.
// Runs in a browser only: test/dashboard/page.test.ts tests it there.
const IN_BROWSER = 'dashboard/page/view/'
const WITHOUT_TEST = [
  'index.ts',
  'options/options.ts',
  'testing/index.ts',
  'routes/types.ts',
  'broker/redis/options.ts'
]
// Lines.
const MOST_LINES = 380
// Entry points of the package.
const DOORS = [
  'index.ts',
  'publisher.ts',
  'plugin.ts',
  'client/index.ts',
  'testing/index.ts',
  'load/main.ts',
  'dashboard/index.ts'
]

test('every file of lib that does something has a test of its name', async (t) => {
  // Types are gone at run time, and what is left of a file of types is nothing.
  const does = (source: string) => transformSync(source, { loader: 'ts', minify: true }).code.trim() !== ''
  const untested = [...sources].filter(([name, source]) => {
    const own = new URL(`./${name.replace(/\.ts$/, '.test.ts')}`, import.meta.url)
    return does(source) && !name.startsWith(IN_BROWSER) && !existsSync(own)
  })
  t.same(untested.map(([name]) => name).sort(), WITHOUT_TEST.sort())
})

test('imports of lib go one way, without cycles', async (t) => {
  t.ok(sources.has('errors.ts'))
  t.same(violations(sources), [])
})

test('the client helpers bundle for a browser and run without Node', async (t) => {
  const { outputFiles, metafile } = await build({
    entryPoints: ['lib/client/index.ts'],
    absWorkingDir: new URL('..', lib).pathname,
    bundle: true,
    platform: 'browser',
    format: 'iife',
    globalName: 'client',
    metafile: true,
    write: false
  })
  const inputs = Object.keys(metafile.inputs)
  t.same(
    inputs.filter((name) => !/^lib\/(client|protocol)\//.test(name)),
    []
  )
  const script = `${outputFiles[0]?.text}; [client.shouldReconnect(1000), client.shouldReconnect(1012)]`
  t.same([...runInNewContext(script, {})], [false, true])
})

test('every arrow that the layout allows is used', async (t) => {
  t.same(unusedRows(sources), [])
})

test('nothing is exported that nothing needs', async (t) => {
  const folder = new URL('./', import.meta.url)
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  // As they lie beside lib: imports of both are compared.
  const read = (name: string) =>
    readFileSync(new URL(name, folder), 'utf8').replace(/'\.\.\/((?:\.\.\/)*)lib\//g, "'./$1")
  const tests = new Map(names.map((name) => [name, read(name)]))
  t.same(deadExports(sources, DOORS, tests), [])
})

test('no file of lib is longer than a reader can hold', async (t) => {
  t.same(
    [...sources].filter(([, source]) => source.split('\n').length > MOST_LINES + 1).map(([name]) => name),
    []
  )
})

test('the import check sees every way to go wrong', async (t) => {
  const check = (sources: Record<string, string>) => violations(new Map(Object.entries(sources)))
  const one = (file: string, source: string, message: string) => t.same(check({ [file]: source }), [message], message)

  one('protocol/a.ts', "import fs from 'node:fs'", "protocol/a.ts: may not import 'node:fs'")
  one('protocol/a.ts', "import '../errors.ts'", "protocol/a.ts: may not import '../errors.ts'")
  one('client/a.ts', "import type { A } from 'ws'", "client/a.ts: may not import 'ws'")
  one('client/a.ts', "export * from '../options/options.ts'", "client/a.ts: may not import '../options/options.ts'")
  one('broker/a.ts', "import type { A } from '../socket/b.ts'", "broker/a.ts: may not import '../socket/b.ts'")
  one(
    'socket/a.ts',
    "export {\n  type A,\n  b\n} from '../session/b.ts'",
    "socket/a.ts: may not import '../session/b.ts'"
  )
  one('socket/a.ts', "const a = await import('../plugin.ts')", "socket/a.ts: may not import '../plugin.ts'")
  one('session/a.ts', "import a from '../handshake/b.ts'", "session/a.ts: may not import '../handshake/b.ts'")
  one('node/a.ts', "import type { A } from '../routes/b.ts'", "node/a.ts: may not import '../routes/b.ts'")
  one('routes/a.ts', "import a from '../testing/index.ts'", "routes/a.ts: may not import '../testing/index.ts'")
  one('options/a.ts', "import a from '../broker/b.ts'", "options/a.ts: may not import '../broker/b.ts'")
  one('plugin.ts', "import a from './hub/hub.ts'", "plugin.ts: may not import './hub/hub.ts'")
  one('common/a.ts', '', 'common/a.ts: no such place in the layout')
  one('drain.ts', '', 'drain.ts: no such place in the layout')
  one('socket/helpers.ts', '', 'socket/helpers.ts: name it for what it does')
  const roots = ['index', 'plugin', 'errors', 'publisher', 'dependencies', 'a', 'b'].map((name) => [`${name}.ts`, ''])
  t.match(check(Object.fromEntries(roots)).at(-1), '7 files beside the folders: 6 at most')
  t.same(check({ 'broker/a.ts': "import type { B } from './b.ts'", 'broker/b.ts': "import { a } from './a.ts'" }), [
    'import cycle: broker/a.ts → broker/b.ts → broker/a.ts'
  ])
  t.same(check({ 'hub/a.ts': 'export interface Target {}', 'node/b.ts': 'export type Target = 1' }), [
    'Target: exported by hub/a.ts and node/b.ts'
  ])

  t.same(
    check({
      'index.ts': "export { plugin } from './plugin.ts'",
      'plugin.ts': "import fp from 'fastify-plugin'\nimport { a } from './routes/a.ts'",
      'routes/a.ts': "import { b } from '../socket/b.ts'\nimport type { C } from '../options/options.ts'",
      'socket/b.ts': "import type { A } from './c.ts'\nimport { c } from '../protocol/c.ts'",
      'socket/c.ts': "import { type Duplex } from 'node:stream'",
      'protocol/c.ts': 'export const c = 1',
      'testing/c.ts': 'export const c = 1'
    }),
    []
  )
})

test('the check for dead exports tells what is needed from what is not', async (t) => {
  const sources = new Map([
    ['index.ts', "export { a } from './hub/a.ts'"],
    ['hub/a.ts', 'export const a = 1\nexport interface A {}\nexport function f(a: A) {}\nexport interface Dead {}'],
    [
      'hub/b.ts',
      "import { f } from './a.ts'\nexport const TESTED = 1\nexport const dead = TESTED\nexport const own = dead"
    ],
    ['hub/c.ts', 'export const anything = 1'],
    ['hub/d.ts', "export * from './c.ts'"]
  ])
  const tests = new Map([['hub/b.test.ts', "import { TESTED, own } from './b.ts'"]])
  t.same(deadExports(sources, ['index.ts'], tests), ['hub/a.ts: Dead', 'hub/b.ts: dead', 'hub/b.ts: own'])
})

test('the import check finds every import', async (t) => {
  t.same(
    importsOf("import a, { type B } from 'c'\nimport type { D, E } from 'f'\nimport 'g'\nexport { type H } from 'i'"),
    ['c', 'f', 'g', 'i']
  )
})
