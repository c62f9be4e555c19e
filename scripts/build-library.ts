// esbuild makes one file of each entry point: to find, read and link ninety modules costs a process 45 ms at its start.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { type BuildOptions, build, type Plugin, transformSync } from 'esbuild'
import { buildPage } from './build-page.ts'
import { root } from './run.ts'

const require = createRequire(import.meta.url)
const UPLOT = /vendor\/uplot\.js$/
const { dependencies } = require('../package.json') as { dependencies: Record<string, string> }

/*
 * Our dependencies are CommonJS. If an ES module imports one, Node parses all its files a second time, in JavaScript, to
 * find the names of its exports: 27 ms for ws, 30 ms for ioredis. So they are imported through `required.cjs`, which is
 * small. Bundlers see through it.
 */
const REQUIRED = Object.keys(dependencies).filter((name) => !name.startsWith('@types/'))

const required: Plugin = {
  name: 'required',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(${REQUIRED.join('|')})$`)
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'required', sideEffects: false }))
    onResolve({ filter: /^\.\/required\.cjs$/ }, ({ path }) => ({ path, external: true }))
    onLoad({ filter, namespace: 'required' }, ({ path }) => {
      const names = Object.keys(require(path)).filter((name) => name !== 'default')
      const exported = names.map((name) => `export const ${name} = /* @__PURE__ */ member('${name}')`)
      const contents = `import required from './required.cjs'
const it = required['${path}']
const member = (name) => it[name]
export default it
${exported.join('\n')}`
      return { contents }
    })
  }
}

// Each is loaded when it is first used: a publisher needs no ws.
function requiredModule(): string {
  const members = REQUIRED.map((name) => `  get '${name}'() {\n    return require('${name}')\n  }`)
  return `module.exports = {\n${members.join(',\n')}\n}\n`
}

/** The Lua scripts become part of the JavaScript, so that a bundle of a server contains them. */
const lua: Plugin = {
  name: 'lua',
  setup({ onLoad }) {
    onLoad({ filter: /lua-source\.ts$/ }, () => {
      const folder = join(root, 'lib/broker/lua')
      const sources = readdirSync(folder).map((file) => [
        basename(file, '.lua'),
        readFileSync(join(folder, file), 'utf8')
      ])
      const contents = `const SOURCES = ${JSON.stringify(Object.fromEntries(sources))}
export function luaSource(name) {
  return SOURCES[name]
}`
      return { contents }
    })
  }
}

/** The dashboard's page becomes part of the JavaScript, like the Lua scripts. Only uPlot is in a file of its own. */
const page: Plugin = {
  name: 'page',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: UPLOT }, ({ path }) => ({ path, external: true }))
    onLoad({ filter: /page-assets\.ts$/ }, () => ({
      contents: `import { uPlotScript } from '../vendor/uplot.js'
const ASSETS = ${JSON.stringify(buildPage(''))}
ASSETS.script = uPlotScript + ASSETS.script
export async function pageAssets() {
  return ASSETS
}`
    }))
  }
}

/** In the package, the load tool and the dashboard share one copy of uPlot. */
const reportAsset: Plugin = {
  name: 'report-asset',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: UPLOT }, ({ path }) => ({ path, external: true }))
    onLoad({ filter: /report-asset\.ts$/ }, () => ({
      contents: `import { uPlotScript, uPlotStyle } from '../vendor/uplot.js'
export const uPlotFile = (name) => (name.endsWith('.css') ? uPlotStyle : uPlotScript)`
    }))
  }
}

/** uPlot, as texts for pages, with its licence. */
function vendorUPlot(folder: string): void {
  const file = (name: string) => readFileSync(join(root, 'node_modules/uplot', name), 'utf8')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'LICENSE'), file('LICENSE'))
  const texts = { uPlotScript: file('dist/uPlot.iife.min.js'), uPlotStyle: file('dist/uPlot.min.css') }
  const exported = Object.entries(texts).map(([name, text]) => `export const ${name} = ${JSON.stringify(text)}\n`)
  writeFileSync(join(folder, 'uplot.js'), exported.join(''))
}

/** Makes the entry points for servers. The parts that two of them need, or that are loaded late, are files beside them. */
export async function buildLibrary(out: string): Promise<void> {
  const common: BuildOptions = {
    absWorkingDir: root,
    outbase: 'lib',
    outdir: out,
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    logLevel: 'warning',
    // plugin.ts imports routes/types.ts for its types.
    logOverride: { 'ignored-bare-import': 'silent' }
  }
  await build({
    ...common,
    entryPoints: ['lib/index.ts', 'lib/publisher.ts', 'lib/dashboard/index.ts'],
    plugins: [required, lua, page]
  })
  await build({ ...common, entryPoints: ['lib/testing/index.ts'] })
  await build({ ...common, entryPoints: ['lib/load/main.ts'], splitting: false, minify: true, plugins: [reportAsset] })
  vendorUPlot(join(out, 'vendor'))
  cpSync(join(root, 'lib/load/report.html'), join(out, 'load/report.html'))
  writeFileSync(join(out, 'required.cjs'), requiredModule())
  for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
    if (/^(?!load|vendor).*\.js$/.test(name)) dropComments(join(out, name))
  }
}

/**
 * The declarations have the comments that a user needs. In the JavaScript they would be a tenth of the package. Names
 * and lines stay as they are, for stack traces.
 */
function dropComments(file: string): void {
  const { code } = transformSync(readFileSync(file, 'utf8'), { minifyWhitespace: true })
  writeFileSync(file, transformSync(code).code)
}
