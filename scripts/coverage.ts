// What tap does not do for coverage: it would also measure files that tests write while they run, and it reports 100 %
// if no test loads a file at all.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transformSync } from 'esbuild'
import { root } from './run.ts'

// Runs in a browser only, where test/dashboard/page.test.ts tests it.
const IN_BROWSER = 'lib/dashboard/page/view/'

/** For tap's option `coverage-map`: the files to measure, whichever test runs. */
export default function coverageMap(): string[] {
  return libraryFiles()
}

/** The files of lib that hold code and that no test loaded. */
export function unmeasured(): string[] {
  const folder = join(root, '.tap/coverage')
  const measured = new Set<string>()
  for (const name of readdirSync(folder)) {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: { url: string }[] }
    for (const { url } of result) measured.add(fileURLToPath(url))
  }
  return libraryFiles().filter((file) => !measured.has(join(root, file)) && hasCode(file))
}

/** A module of types alone has no code at run time, so nothing loads it. */
function hasCode(file: string): boolean {
  return transformSync(readFileSync(join(root, file), 'utf8'), { loader: 'ts', minify: true }).code.trim() !== ''
}

function libraryFiles(): string[] {
  return readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join('lib', name))
    .filter((name) => !name.startsWith(IN_BROWSER))
}
