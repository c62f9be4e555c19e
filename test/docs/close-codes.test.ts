import t from 'tap'
import { CLOSE } from '../../lib/protocol/close-codes.ts'
import { code, read, table } from './pages.ts'

/* docs/close-codes.md against the table that the server and the client helpers read. */

t.test('every close code stands there once, in order, with its reason and its advice', async (t) => {
  const rows = table('docs/close-codes.md', 'code')
  t.same(
    rows.map((row) => ({ code: Number(row.code), reason: code(row.reason), advice: row.advice })),
    Object.values(CLOSE).map(({ code, reason, advice }) => ({ code, reason, advice }))
  )
  for (const row of rows) t.ok(row.when, row.code ?? '')
})

t.test('each advice is explained', async (t) => {
  const explained = [...read('docs/close-codes.md').matchAll(/^- \*\*([\w-]+)\*\*:/gm)].map(([, advice]) => advice)
  t.same(explained.sort(), [...new Set(Object.values(CLOSE).map(({ advice }) => advice))].sort())
})
