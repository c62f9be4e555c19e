import t from 'tap'
import { FIGURES } from '../../demo/load/command/expectations.ts'
import { OPTION_TABLE } from '../../demo/load/command/option-table.ts'
import { code, read, table } from './pages.ts'

/* docs/load.md against the load tool's own tables. */

t.test('every option stands there once, with its default and its meaning', async (t) => {
  t.same(
    table('docs/load.md', 'option').map((row) => ({
      option: code(row.option),
      default: row.default,
      meaning: row.meaning
    })),
    OPTION_TABLE.map(({ name, value, fallback = '', meaning, repeats }) => ({
      option: `--${name}${value === undefined ? '' : ` ${value}`}`,
      default: fallback,
      meaning: `${meaning}${repeats ? '; may be repeated' : ''}`
    }))
  )
})

t.test('every figure that can be expected', async (t) => {
  t.same(
    table('docs/load.md', 'figure').map(({ figure, meaning }) => [code(figure), meaning]),
    Object.entries(FIGURES).map(([name, { meaning }]) => [name, meaning])
  )
})

t.test('every option in the commands exists', async (t) => {
  const names = new Set(OPTION_TABLE.map(({ name }) => name))
  for (const page of ['README.md', 'docs/load.md']) {
    const commands = read(page).match(/^npm run (--silent )?load\b.*$/gm) ?? []
    t.ok(commands.length > 0, page)
    for (const command of commands) {
      for (const [, name = ''] of command.matchAll(/ --([a-z-]+)(?= |$)/g)) {
        t.ok(names.has(name) || name === 'silent', `${page}: --${name}`)
      }
    }
  }
})
