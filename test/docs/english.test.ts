import t from 'tap'
import { blocksOf, findings, MOST_WORDS, MOST_WORDS_TOGETHER, sentencesOf } from './english-rules.ts'
import { pages, read } from './pages.ts'

/* The rules of plain English, and every page against them. */

/** Findings of pages that could not be fixed yet. A count must be exact: it can only be lowered. */
const KNOWN: Readonly<Record<string, number>> = {}

const rules = (markdown: string) => findings(markdown).map(({ rule }) => rule)
const words = (count: number) => Array.from({ length: count }, () => 'word').join(' ')

for (const page of pages()) {
  t.test(`${page} is in plain English`, async (t) => {
    const found = findings(read(page))
    const lines = found.map(({ line, rule, text }) => `${page}:${line}: ${rule}: ${text}`)
    t.equal(found.length, KNOWN[page] ?? 0, lines.join('\n'))
  })
}

t.test('a page is read as prose', async (t) => {
  const page = [
    '# Where a heading is no sentence',
    '',
    'First `what(it, is)` line,',
    'and [its second](where.md#it-is) line.',
    '',
    '```ts',
    'const where = 1',
    '```',
    '',
    '- An *item*',
    '  goes on. **And on.**',
    '1. Another',
    '',
    '| a | `b` |',
    '| --- | --- |',
    '| cell | of two words |',
    '![picture](where.png)',
    '> A quotation.'
  ]
  t.same(blocksOf(page.join('\n')), [
    { line: 3, text: 'First \u2022 line, and its second line.' },
    { line: 10, text: 'An item goes on. And on.' },
    { line: 12, text: 'Another' },
    { line: 14, text: 'a' },
    { line: 14, text: '\u2022' },
    { line: 16, text: 'cell' },
    { line: 16, text: 'of two words' },
    { line: 18, text: 'A quotation.' }
  ])
})

t.test('sentences end where the next begins', async (t) => {
  t.same(sentencesOf('Redis 7.0 is old. It works, e.g. here! \u2022 too? "Yes." (No.) end'), [
    'Redis 7.0 is old.',
    'It works, e.g. here!',
    '\u2022 too?',
    '"Yes."',
    '(No.) end'
  ])
})

t.test('long sentences and paragraphs', async (t) => {
  t.same(rules(`${words(MOST_WORDS)}.`), [])
  t.same(rules(`${words(MOST_WORDS + 1)}.`), [`${MOST_WORDS + 1} words in a sentence`])
  t.same(rules(`${words(MOST_WORDS)}; ${words(MOST_WORDS)}.`), [], 'parts between semicolons')
  const short = Array.from({ length: MOST_WORDS_TOGETHER / 10 }, () => `Word ${words(9)}.`).join(' ')
  t.same(rules(short), [])
  t.same(rules(`${short} More.`), [`${MOST_WORDS_TOGETHER + 1} words in a paragraph`])
})

t.test('constructions that are hard to read', async (t) => {
  const before = [
    'What a listener throws is logged and closes the connection.',
    'Who is away has no place.',
    'Whoever has the key can open it.',
    'It is read again, where it can.',
    'It is kept except where memory ends.',
    'Readers are told how many.',
    'It wants a token with the claim.',
    'It closes of its own accord.',
    'If the key is gone, it ends.',
    'Somebody has to decide.',
    'One can open a route.',
    'If it cannot be had, it ends.',
    'This is very fast.',
    'A seamless experience.'
  ]
  for (const sentence of before) t.equal(rules(sentence).length, 1, sentence)
  const after = [
    'If a listener throws, the error is logged and the connection is closed.',
    'What happens if Redis fails?',
    'What an upgrade may change',
    'If you want that, set the option.',
    'Where to look:',
    'The file names the place where the token is read.',
    'The log says "somebody is gone".',
    'It prints `told`.',
    'One connection for each master.'
  ]
  for (const sentence of after) t.same(rules(sentence), [], sentence)
})
