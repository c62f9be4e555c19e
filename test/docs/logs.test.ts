import { readdirSync } from 'node:fs'
import t from 'tap'
import { code, read, table } from './pages.ts'

/* The table of log messages in docs/operations.md against what lib writes. */

/** Every line that a file logs: a level, and a message in single quotes, as Biome formats it. */
function logged(source: string): string[] {
  const calls = source.matchAll(/(?:\b(?:log|\w+Log)|#denials)\.(error|warn|info|debug|failed)\([^']*?'([^']+)'\s*\)/g)
  // `failed` is the session log's word for what is an error of the application.
  return Array.from(calls, ([, level, message]) => `${level === 'failed' ? 'error' : level} ${message}`)
}

t.test('every message stands there with its level, and no other', async (t) => {
  const files = readdirSync('lib', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  const written = new Set(files.flatMap((name) => logged(read(`lib/${name}`))))
  const told = table('docs/operations.md', 'level').flatMap(({ level, message = '' }) =>
    message.split(', ').map((one) => `${level} ${code(one)}`)
  )
  t.same([...told].sort(), [...written].sort())
})
