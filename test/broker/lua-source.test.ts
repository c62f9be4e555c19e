import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import t from 'tap'
import { luaSource } from '../../lib/broker/lua-source.ts'

/* That the build has them in a module instead: test/package.test.ts, case 168. */

t.test('every script can be had by its name', async (t) => {
  const files = readdirSync(new URL('../../lib/broker/lua/', import.meta.url))
  t.ok(files.length > 0)
  for (const file of files) t.match(luaSource(basename(file, '.lua')), /\bredis\.call\b|^(local )?function /m, file)
})
