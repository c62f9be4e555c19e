import t from 'tap'
import { sentencesOf } from './english-rules.ts'
import { pages, read } from './pages.ts'

/* docs/README.md: every page once, in one of four groups, with one sentence. */

const PAGE = 'docs/README.md'
const GROUPS = ['Tutorial', 'How-to', 'Reference', 'Explanation']
const entries = [...read(PAGE).matchAll(/^- \[[^\]]+\]\(([^)#]+)\): (.*)$/gm)]

t.test('it lists every page of docs once', async (t) => {
  const listed = entries.map(([, target = '']) => `docs/${target}`)
  // Each decision stands in the list of its folder.
  const expected = pages().filter(
    (page) => page.startsWith('docs/') && !page.startsWith('docs/decisions/') && page !== PAGE
  )
  t.same(listed.filter((page) => page.endsWith('.md')).sort(), expected.sort())
})

t.test('it has four groups', async (t) => {
  t.same(
    (read(PAGE).match(/^## .*/gm) ?? []).map((heading) => heading.slice(3)),
    GROUPS
  )
})

t.test('each page has one sentence', async (t) => {
  for (const [, target = '', sentence = ''] of entries) {
    t.match(sentence, /^[A-Z].*\.$/, target)
    t.equal(sentencesOf(sentence).length, 1, target)
  }
})
