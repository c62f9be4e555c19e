import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { blocksOf, findings } from '../../docs/english-rules.ts'
import { anchors, read, root, table } from '../../docs/pages.ts'

/* What all examples have in common. */

const folder = 'demo/examples'
const MOST_LINES = 125
const names = readdirSync(join(root, folder), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
const files = (name: string) =>
  readdirSync(join(root, folder, name), { recursive: true, encoding: 'utf8' }).map(
    (file) => `${folder}/${name}/${file}`
  )

t.test('docs/examples.md lists each, and each has a test', async (t) => {
  const listed = table('docs/examples.md', 'example').map(({ example }) =>
    /^\[([\w-]+)\]\((.*)\)$/.exec(example as string)
  )
  t.same(listed.map((match) => match?.[1]).sort(), names.toSorted())
  for (const match of listed) t.equal(match?.[2], `../${folder}/${match?.[1]}/README.md`)
  for (const name of names) t.ok(existsSync(join(root, 'test', folder, `${name}.test.ts`)), name)
})

for (const name of names) {
  t.test(name, async (t) => {
    const readme = read(`${folder}/${name}/README.md`)
    t.ok(readme.split('\n').length <= 41, 'a README of at most 40 lines')
    t.same(findings(readme), [], 'in plain English')
    t.equal(blocksOf(readme).length > 4, true)
    t.match(readme, /^## Run it$/m)
    t.match(readme, /^## Three things to notice$(?:\n\n|\n(?=\d))1\. .*\n2\. .*\n3\. .*\n\n/m)
    for (const [, path = '', anchor] of readme.matchAll(/\]\(([^)#]+)(?:#([^)]+))?\)/g)) {
      const page = join(folder, name, path)
      t.ok(existsSync(join(root, page)), page)
      if (anchor !== undefined) t.ok(anchors(page).includes(anchor), `${page}#${anchor}`)
    }
    for (const file of files(name).filter((file) => /\.(ts|js)$/.test(file))) {
      const source = read(file)
      t.ok(source.split('\n').length <= MOST_LINES + 1, `${file} is short`)
      t.notMatch(source, /innerHTML|insertAdjacentHTML|\beval\b/, file)
      t.notMatch(source, /lib\//, `${file} imports what an application does`)
    }
    const server = `${folder}/${name}/server.ts`
    if (!existsSync(join(root, server))) return
    t.match(readme, `node --import=./scripts/typescript.js ${server}\n`)
    const source = read(server)
    t.match(source, /^ +closeWithGrace\(\{ delay: 3[05]_000/m, 'it drains on SIGTERM')
    t.notMatch(source, /auth: false|origins: '\*'/)
    t.match(source, /\[::\]|'127\.0\.0\.1'/, 'it listens on this machine only, if HOST does not say otherwise')
  })
}
