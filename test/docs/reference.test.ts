import t from 'tap'
import { readManifest } from '../../scripts/publication.ts'
import { reference } from '../../scripts/reference.ts'
import { read } from './pages.ts'

const PAGE = 'docs/reference.md'
const page = read(PAGE)

t.test('the reference is that of the docstrings', async (t) => {
  t.ok(reference() === page, 'npm run reference')
})

t.test('it has every entry point with its own exports', async (t) => {
  const { name, exports } = readManifest()
  const paths = Object.entries(exports).filter(([, entry]) => typeof entry === 'object')
  t.same(
    page.match(/^## .*/gm),
    paths.map(([path]) => `## ${name}${path.slice(1)}`)
  )
  for (const heading of ['RealtimeOptions', 'RealtimeSocket', 'createPublisher', 'testToken', 'connect']) {
    t.match(page, `\n### ${heading}\n`)
  }
  t.match(
    page,
    '- `interval?: number`: Milliseconds between two pings of one connection, ±10 %, 50 to 86,400,000. Default: `25000`.'
  )
  t.match(page, '- `get roundTripTime(): number | undefined`')
})

t.test('it has nothing that is private, and no path of a machine', async (t) => {
  t.notMatch(page, /#private|\bprivate \w|@internal|@default|@param|\/tmp\/|\/work\//)
})
