import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ROOMS } from '../support/layout.ts'
import { code, pages, read, root } from './pages.ts'

/* docs/architecture.md against the layout that is checked, and against the files that it names. */

const PAGE = 'docs/architecture.md'
const lines = read(PAGE).split('\n')

function rowsWith(columns: number): string[][] {
  const rows = lines.filter((line) => line.startsWith('|') && !line.includes('| --- |'))
  const cells = rows.map((line) => line.slice(1, -1).split('|'))
  return cells.filter(({ length }) => length === columns).map((row) => row.map((cell) => cell.trim()))
}

t.test('the table of rooms is the one that the layout test checks', async (t) => {
  const [, ...rows] = rowsWith(3)
  const written = rows.map(([room, , imports = '']) => [
    code(room),
    [...imports.matchAll(/`([^`]+)`/g)].map(([, to]) => to)
  ])
  t.same(written, Object.entries(ROOMS))
  for (const [room = '', holds] of rows) t.ok(holds, room)
})

t.test('each step of the call chains names a file and a function in it', async (t) => {
  const steps = rowsWith(4).filter(([step = '']) => /^\d+$/.test(step))
  t.equal(steps.filter(([step]) => step === '1').length, 3)
  for (const [step, file, name] of steps) {
    const source = read(`lib/${code(file)}`)
    const found = new RegExp(`(^|[^\\w#])${code(name)}\\b`, 'm').test(source)
    t.ok(found, `step ${step}: ${file} ${name}`)
  }
})

t.test('every file of the repository that a page names exists', async (t) => {
  for (const page of pages()) {
    for (const [path] of read(page).matchAll(/\b(?:lib|test|scripts|demo)\/[\w./-]+\.(?:ts|js|json|lua)\b/g)) {
      t.ok(existsSync(join(root, path)), `${page}: ${path}`)
    }
  }
})

t.test('every file that the architecture names exists', async (t) => {
  const named = [...read(PAGE).matchAll(/`((?:[\w-]+\/)+[\w.-]+\.(?:ts|lua))`/g)].map(([, path = '']) => path)
  t.ok(named.length > 30)
  for (const path of named) t.ok(existsSync(join(root, path.startsWith('test/') ? '' : 'lib', path)), path)
})
