import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transformSync } from 'esbuild'
import { root } from './run.ts'

/**
 * The files of lib that hold code and that no test loaded. tap measures what was loaded only: without this, a new
 * file without any test would leave coverage at 100 %.
 */
export function unmeasured(): string[] {
  const folder = join(root, '.tap/coverage')
  const measured = new Set<string>()
  for (const name of readdirSync(folder)) {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: { url: string }[] }
    for (const { url } of result) measured.add(fileURLToPath(url))
  }
  return libraryFiles().filter((file) => !measured.has(join(root, file)) && hasCode(file))
}

/** Types alone are gone at run time: such a module is never loaded. */
function hasCode(file: string): boolean {
  return transformSync(readFileSync(join(root, file), 'utf8'), { loader: 'ts', minify: true }).code.trim() !== ''
}

function libraryFiles(): string[] {
  return readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('lib', name))
}
