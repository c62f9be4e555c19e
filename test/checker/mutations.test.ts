import { readFileSync } from 'node:fs'
import t from 'tap'
import { MUTATIONS } from './mutations.ts'

t.test('each seeded fault has its place in the library, once', async (t) => {
  // A node that finds none does not start, and the trial says no more than that.
  for (const [name, { file, find }] of Object.entries(MUTATIONS)) {
    const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
    t.equal(source.split(find).length, 2, name)
  }
})
