// Module hooks that replace types by spaces, which Node does by itself from 22.18 on, but not Node 20.
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

/*
 * Every other character keeps its place, so coverage needs no source maps. With a compiler (tsx, tap's plugin) coverage
 * is guessed: helpers count as branches, and tap was seen to report 100 % of files that no test called.
 *
 * The results are kept in .tap/stripped. A run of the tests starts some hundred processes, and stripping the whole
 * library in each took more time than the rest of most starts.
 *
 * The hooks are synchronous, so that they work on the thread that imports (`registerHooks`) and on a thread for hooks
 * (`register`, in Node 20).
 */
const root = new URL('../', import.meta.url)
const kept = new URL('.tap/stripped/', root)
const require = createRequire(import.meta.url)
const manifest = require('../package.json')
const { version } = require('@swc/wasm-typescript/package.json')

/** The package's own name stands for its sources, as in tsconfig.json: nothing has to be built, and coverage counts. */
export function resolve(specifier, context, nextResolve) {
  const isOwn = specifier === manifest.name || specifier.startsWith(`${manifest.name}/`)
  if (!isOwn || !context.parentURL?.startsWith(root.href)) return nextResolve(specifier, context)
  const built = manifest.exports[`.${specifier.slice(manifest.name.length)}`]?.default
  if (!built) return nextResolve(specifier, context)
  return nextResolve(new URL(built.replace('dist/', 'lib/').replace(/\.js$/, '.ts'), root).href, context)
}

export function load(url, context, nextLoad) {
  const { protocol, pathname } = new URL(url)
  if (protocol !== 'file:' || !pathname.endsWith('.ts')) return nextLoad(url, context)
  const path = fileURLToPath(url)
  return { format: 'module', source: stripped(path, readFileSync(path, 'utf8')), shortCircuit: true }
}

function stripped(path, source) {
  const hash = createHash('sha1').update(version).update(source).digest('hex')
  const file = new URL(`${basename(path)}-${hash}.js`, kept)
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  const { transformSync } = require('@swc/wasm-typescript')
  const { code } = transformSync(source, { filename: path, mode: 'strip-only', module: true })
  // Other processes strip and read the same file at the same time. The rename makes it appear as a whole.
  const part = new URL(`${file.href}.${randomUUID()}`)
  mkdirSync(kept, { recursive: true })
  writeFileSync(part, code)
  renameSync(part, file)
  return code
}
