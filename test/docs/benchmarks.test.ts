import { test } from 'tap'
import { figures, readPage, readResults } from '../bench/results.ts'
import { rows } from '../bench/rows/index.ts'
import { code, table } from './pages.ts'

/* docs/benchmarks.md against the rows and their results. */

test('every row stands there once, with when it is measured', async (t) => {
  t.same(
    table('docs/benchmarks.md', 'row')
      .map(({ row, 'measured with': when }) => [code(row), when])
      .sort(),
    rows.map(({ name, long = false }) => [name, long ? '`--all`' : 'always']).sort()
  )
})

test('the figures are those of results.json', async (t) => {
  t.equal(readPage().figures, figures(readResults()))
})

test('results.json has rows that exist, with what each has to reach', async (t) => {
  const results = readResults()
  t.ok(results.rows.length > 0)
  for (const { name, title, unit, runs, goals } of results.rows) {
    const row = rows.find((row) => row.name === name)
    t.same({ title, unit }, { title: row?.title, unit: row?.unit }, name)
    t.equal(runs % 2, 1)
    t.same(
      goals.map(({ work, must, aim }) => ({ work, must, aim })),
      row?.goals.map(({ work, must, aim }) => ({ work, must, aim }))
    )
  }
})
