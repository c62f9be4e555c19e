// Builds demo/dist. The server runs against the built package, as an application of yours does; the page's scripts are
// bundles for the browser, which tsc cannot make.
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import { root, runBin } from './run.ts'

const page = join(root, 'demo/page')
const out = join(root, 'demo/dist')
const isScript = (name: string) => name.endsWith('.ts') && !name.endsWith('.d.ts')

rmSync(out, { recursive: true, force: true })
if (!runBin('tsc', ['-p', 'demo'])) process.exit(1)

if (existsSync(page)) {
  const names = readdirSync(page)
  const entryPoints = names.filter(isScript).map((name) => join(page, name))
  buildSync({
    entryPoints,
    outdir: join(out, 'page'),
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022'
  })
  for (const name of names.filter((name) => !name.endsWith('.ts') && name !== 'tsconfig.json')) {
    cpSync(join(page, name), join(out, 'page', name), { recursive: true })
  }
}
