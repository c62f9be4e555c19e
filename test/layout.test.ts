import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { build, transformSync } from 'esbuild'
import { test } from 'tap'
import { importsOf, violations } from './support/layout.ts'

const lib = new URL('../lib/', import.meta.url)
const files = readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
const sources = new Map(files.map((name) => [name.replaceAll('\\', '/'), readFileSync(new URL(name, lib), 'utf8')]))
// They hand on what others do, or hold nothing but types, or numbers.
const WITHOUT_TEST = ['index.ts', 'options.ts', 'testing/index.ts', 'types.ts', 'broker/redis-options.ts']

test('every file of lib that does something has a test of its name', async (t) => {
  // Types are gone at run time, and what is left of a file of types is nothing.
  const does = (source: string) => transformSync(source, { loader: 'ts', minify: true }).code.trim() !== ''
  const untested = [...sources].filter(([name, source]) => {
    const own = new URL(`./${name.replace(/\.ts$/, '.test.ts')}`, import.meta.url)
    return does(source) && !existsSync(own)
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

test('the import check sees every way to go wrong', async (t) => {
  const check = (sources: Record<string, string>) => violations(new Map(Object.entries(sources)))
  const one = (file: string, source: string, message: string) => t.same(check({ [file]: source }), [message], message)

  one('protocol/a.ts', "import fs from 'node:fs'", "protocol/a.ts: may not import 'node:fs'")
  one('protocol/a.ts', "import '../errors.ts'", "protocol/a.ts: may not import '../errors.ts'")
  one('client/a.ts', "import type { A } from 'ws'", "client/a.ts: may not import 'ws'")
  one('client/a.ts', "export * from '../options.ts'", "client/a.ts: may not import '../options.ts'")
  one('broker/a.ts', "import type { A } from '../socket/b.ts'", "broker/a.ts: may not import '../socket/b.ts'")
  one(
    'socket/a.ts',
    "export {\n  type A,\n  b\n} from '../channels/b.ts'",
    "socket/a.ts: may not import '../channels/b.ts'"
  )
  one('socket/a.ts', "const a = await import('../plugin.ts')", "socket/a.ts: may not import '../plugin.ts'")
  one('channels/a.ts', "import a from '../handshake/b.ts'", "channels/a.ts: may not import '../handshake/b.ts'")
  one('handshake/a.ts', "import a from '../drain.ts'", "handshake/a.ts: may not import '../drain.ts'")
  one('drain.ts', "import a from './plugin.ts'", "drain.ts: may not import './plugin.ts'")
  one('drain.ts', "import a from './testing/index.ts'", "drain.ts: may not import './testing/index.ts'")
  one('options.ts', "import a from './broker/b.ts'", "options.ts: may not import './broker/b.ts'")
  one('types.ts', "import { a } from './broker/b.ts'", "types.ts: may not import './broker/b.ts'")
  one('common/a.ts', '', 'common/a.ts: no such folder in the layout')
  one('socket/helpers.ts', '', 'socket/helpers.ts: name it for what it does')
  t.same(check({ 'broker/a.ts': "import { b } from './b.ts'", 'broker/b.ts': "import { a } from './a.ts'" }), [
    'import cycle: broker/a.ts → broker/b.ts → broker/a.ts'
  ])

  t.same(
    check({
      'index.ts': "export { plugin } from './plugin.ts'",
      'plugin.ts': "import fp from 'fastify-plugin'\nimport { a } from './channels/a.ts'\nimport './types.ts'",
      'types.ts': "import type { A } from './channels/a.ts'",
      'channels/a.ts': "import { b } from '../socket/b.ts'\nimport type { C } from '../types.ts'",
      'socket/b.ts': "import type { A } from './c.ts'\nimport { c } from '../protocol/c.ts'",
      'socket/c.ts': "import { type Duplex } from 'node:stream'\nimport { b } from './b.ts'",
      'protocol/c.ts': 'export const c = 1',
      'testing/index.ts': "import { plugin } from '../index.ts'"
    }),
    []
  )
})

test('the import check tells types from values', async (t) => {
  t.same(
    importsOf("import a, { type B } from 'c'\nimport type { D, E } from 'f'\nimport 'g'\nexport { type H } from 'i'"),
    [
      { specifier: 'c', typeOnly: false },
      { specifier: 'f', typeOnly: true },
      { specifier: 'g', typeOnly: false },
      { specifier: 'i', typeOnly: false }
    ]
  )
})
