import t from 'tap'
import { loadCommand } from '../../lib/load/command.ts'
import { FIGURES } from '../../lib/load/figures.ts'
import { code, read, table } from './pages.ts'

/* docs/load.md against the command's own definition. */

const { options } = loadCommand()

t.test('every option stands there once, with its default and its meaning', async (t) => {
  t.same(
    table('docs/load.md', 'option').map((row) => [code(row.option), row.default, row.meaning]),
    options.map(({ flags, description, defaultValue, defaultValueDescription, argChoices }) => [
      flags,
      String(defaultValueDescription ?? defaultValue ?? ''),
      argChoices === undefined ? description : `${description}: ${argChoices.map((name) => `\`${name}\``).join(', ')}`
    ])
  )
})

t.test('every figure that can be expected', async (t) => {
  t.same(
    table('docs/load.md', 'figure').map(({ figure, meaning }) => [code(figure), meaning]),
    FIGURES.map(([name, , meaning]) => [name, meaning])
  )
})

t.test('every option in the commands exists', async (t) => {
  for (const page of ['README.md', 'docs/load.md']) {
    const commands = read(page).match(/^(npm run (--silent )?load|npx fastify-realtime load)\b.*$/gm) ?? []
    t.ok(commands.length > 0, page)
    for (const command of commands) {
      for (const [name] of command.matchAll(/--[a-z-]+(?= |$)/g)) {
        t.ok(['--', '--silent'].includes(name) || options.some(({ long }) => long === name), `${page}: ${name}`)
      }
    }
  }
})
