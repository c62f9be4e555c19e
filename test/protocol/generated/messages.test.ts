import { readFileSync } from 'node:fs'
import t from 'tap'
import { generate } from '../../../scripts/generate-protobuf.ts'

t.test('the generated code is that of the definition and of the installed generator', async (t) => {
  const files = Object.entries(await generate())
  t.same(files.map(([name]) => name).sort(), ['messages.d.ts', 'messages.js'])
  for (const [name, text] of files) {
    const found = readFileSync(new URL(`../../../lib/protocol/generated/${name}`, import.meta.url), 'utf8')
    t.ok(found === text, `${name}: npm run generate`)
  }
})

t.test('the generated code runs anywhere, and holds both licences', async (t) => {
  const source = readFileSync(new URL('../../../lib/protocol/generated/messages.js', import.meta.url), 'utf8')
  t.notMatch(source, /^import |\brequire\(|\bnew Function\b|\beval\(/m)
  t.match(source, 'Copyright (c) 2023 Centrifugal Labs LTD')
  t.match(source, 'Copyright (c) 2016, Daniel Wirtz')
})
