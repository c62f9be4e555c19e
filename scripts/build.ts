// Builds the package: `build.ts [folder]`, by default `dist`. tsc writes the declarations, esbuild the JavaScript.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { buildClient } from './build-client.ts'
import { buildLibrary } from './build-library.ts'
import { root, runBin } from './run.ts'

const out = resolve(root, process.argv[2] ?? 'dist')

rmSync(out, { recursive: true, force: true })
if (!runBin('tsc', ['-p', 'tsconfig.build.json', '--outDir', out])) process.exit(1)
prune()
await buildLibrary(out)
buildClient(join(out, 'client/index.js'))

/** Removes the declarations that no entry point refers to: two of three, and a block of the disk for each. */
function prune(): void {
  const { exports } = createRequire(import.meta.url)('../package.json') as {
    exports: Record<string, string | { types: string }>
  }
  const needed = new Set<string>()
  const visit = (file: string): void => {
    if (needed.has(file)) return
    needed.add(file)
    const source = readFileSync(file, 'utf8')
    for (const [, path = ''] of source.matchAll(/(?:from |import |import\()'(\.[^']+)\.[jt]s'/g)) {
      visit(join(dirname(file), `${path}.d.ts`))
    }
  }
  for (const entry of Object.values(exports)) {
    if (typeof entry === 'object') visit(join(out, entry.types.replace(/^\.\/dist/, '')))
  }
  for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
    const file = join(out, name)
    if (name.endsWith('.d.ts') && !needed.has(file)) rmSync(file)
  }
}
