import t from 'tap'
import { nearestPattern, StrayNames } from '../../lib/node/stray-names.ts'

/* That publishing asks: test/cases/g-rights.test.ts. */

const HOUR = 3_600_000

t.test('the pattern that a name may have been meant for', async (t) => {
  const patterns = ['boards/:board', 'users/:user/inbox', 'v1/rooms/:room', 'files/*', 'news']
  const cases = {
    'board/7': 'boards/:board',
    'Boards/7': 'boards/:board',
    'users/ada/inbos': 'users/:user/inbox',
    'users/ada': 'users/:user/inbox',
    'rooms/tea': 'v1/rooms/:room',
    '/v1/rooms/tea': 'v1/rooms/:room',
    'flies/a': 'files/*',
    nws: 'news'
  }
  for (const [name, pattern] of Object.entries(cases)) t.equal(nearestPattern(name, patterns), pattern, name)
})

t.test('case 176: one report per name and hour, of a thousand names at most', async (t) => {
  let time = 0
  const reports: string[] = []
  const patterns: string[] = []
  const names = new StrayNames({
    patterns: () => patterns,
    now: () => time,
    report: (channel, pattern) => void reports.push(`${channel} ${pattern}`)
  })
  names.note('board/7')
  t.same(reports, [], 'an application that declares nothing uses any name')
  patterns.push('boards/:board')
  for (let n = 0; n < 3; n++) names.note('board/7')
  t.same(reports, ['board/7 boards/:board'])
  time = HOUR / 2
  for (let n = 0; n < 2_000; n++) names.note(`stray/${n}`)
  t.equal(reports.length, 1_000)
  time = HOUR
  names.note('board/7')
  t.equal(reports.length, 1_001, 'an hour later once more')
  names.note('stray/1999')
  t.equal(reports.length, 1_001, 'the others have taken the places')
  time = 2 * HOUR
  names.note('stray/1999')
  names.note('stray/1998')
  t.equal(reports.length, 1_003)
})
