import fc from 'fast-check'
import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { Drawing } = await pageModule('drawing.js')
const { Line } = await pageModule('line.js')

interface Publication {
  id?: string
  points?: number[]
  colour?: string
  width?: number
  undo?: string
  clear?: string
  user: string
}

function stroke(id: string, user = 'ada', points = [0, 0, 1, 1]): Publication {
  return { id, colour: 'ink', points, user }
}

// What is shown, each line as its id and how many strokes of it there are.
type Shown = [string, string, number][]
function shown(drawing: { lines: { id: string; user: string; size: number }[] }): Shown {
  return drawing.lines.map(({ id, user, size }) => [id, user, size])
}

test('strokes of others come in their order, and count once', async (t) => {
  const drawing = new Drawing()
  t.ok(drawing.take(stroke('a.0', 'grace')), 'it is new')
  t.ok(drawing.take(stroke('b.0', 'lin')))
  t.ok(drawing.take(stroke('a.1', 'grace')))
  t.notOk(drawing.take(stroke('a.0', 'grace')), 'and then it is not')
  t.same(shown(drawing), [
    ['a', 'grace', 2],
    ['b', 'lin', 1]
  ])
  t.equal(drawing.size, 3)
})

test('a stroke of one’s own is shown at once, and takes its place when it comes back', async (t) => {
  const drawing = new Drawing()
  drawing.draw(stroke('mine.0'))
  drawing.draw(stroke('mine.1'))
  drawing.take(stroke('theirs.0', 'grace'))
  t.same(shown(drawing), [
    ['theirs', 'grace', 1],
    ['mine', 'ada', 2]
  ])
  t.notOk(drawing.take(stroke('mine.0')), 'it is not somebody else’s news')
  drawing.take(stroke('last.0', 'grace'))
  t.same(shown(drawing), [
    ['theirs', 'grace', 1],
    ['mine', 'ada', 2],
    ['last', 'grace', 1]
  ])
  drawing.take(stroke('mine.1'))
  t.equal(drawing.size, 4)
  drawing.draw(stroke('mine.2'))
  t.equal(drawing.lines.length, 3, 'a line that is on the board goes on there')
})

test('under another name than it was drawn with it still comes back once', async (t) => {
  const drawing = new Drawing()
  drawing.draw(stroke('mine.0', 'ada'))
  drawing.take(stroke('mine.0', 'countess'))
  t.same(shown(drawing), [['mine', 'countess', 1]])
})

test('undo: of one’s own lines, whole, and also of what comes late', async (t) => {
  const drawing = new Drawing()
  for (const id of ['one.0', 'two.0', 'two.1']) drawing.take(stroke(id))
  drawing.take(stroke('theirs.0', 'grace'))
  t.equal(drawing.lastLineOf('ada'), 'two')
  t.equal(drawing.lastLineOf('nobody'), undefined)

  drawing.take({ undo: 'two', user: 'grace' })
  t.equal(drawing.size, 4, 'nobody else may')
  drawing.hide('two', 'ada')
  t.equal(drawing.lastLineOf('ada'), 'one', 'at once')
  drawing.show('two', 'ada')
  t.equal(drawing.lastLineOf('ada'), 'two', 'there again where it was refused')
  drawing.hide('two', 'ada')
  drawing.take({ undo: 'two', user: 'ada' })
  t.same(shown(drawing), [
    ['one', 'ada', 1],
    ['theirs', 'grace', 1]
  ])
  drawing.take(stroke('two.2'))
  drawing.take(stroke('two.0'))
  t.equal(drawing.size, 2, 'a stroke that was resent finds its line gone')
  drawing.take(stroke('two.9', 'lin'))
  t.equal(drawing.size, 3, 'somebody else’s line of that name is another')
})

test('undo of a line that is still on its way', async (t) => {
  const drawing = new Drawing()
  drawing.draw(stroke('mine.0'))
  drawing.draw(stroke('mine.1'))
  drawing.take(stroke('mine.0'))
  drawing.take({ undo: 'mine', user: 'ada' })
  t.equal(drawing.size, 0)
  drawing.take(stroke('mine.1'))
  t.equal(drawing.size, 0)
})

test('clear: all that is on the board, and what was there stays away; what is on its way comes after', async (t) => {
  const drawing = new Drawing()
  drawing.take(stroke('old.0', 'grace'))
  drawing.draw(stroke('mine.0'))
  drawing.draw(stroke('mine.1'))
  drawing.take(stroke('mine.0'))
  drawing.take({ clear: 'x', user: 'lin' })
  t.same(shown(drawing), [['mine', 'ada', 1]])
  drawing.take(stroke('old.0', 'grace'))
  t.equal(drawing.size, 1)
  drawing.take(stroke('mine.1'))
  t.same(shown(drawing), [['mine', 'ada', 1]])
})

test('what has points is a stroke, whatever else a client put into it', async (t) => {
  const drawing = new Drawing()
  drawing.take(stroke('old.0', 'grace'))
  drawing.take({ ...stroke('sly.0', 'mallory'), clear: 'x', undo: 'old' })
  t.equal(drawing.size, 2)
})

test('refused strokes are marked, sent again or given up', async (t) => {
  const drawing = new Drawing()
  drawing.draw(stroke('mine.0'))
  drawing.draw(stroke('mine.1'))
  drawing.take(stroke('mine.0'))
  drawing.refuse('mine.1')
  t.same(
    drawing.refused.map(({ id }: { id: string }) => id),
    ['mine.1']
  )
  t.same(
    drawing.lines[0].runs.map(({ refused }: { refused: boolean }) => refused),
    [false, true]
  )
  drawing.retry('mine.1')
  t.same(drawing.refused, [])
  drawing.refuse('mine.1')
  drawing.discard('mine.1')
  t.equal(drawing.size, 1)
  drawing.draw(stroke('other.0'))
  drawing.discard('other.0')
  drawing.discard('never drawn')
  t.same(shown(drawing), [['mine', 'ada', 1]])
})

test('a board that is read anew is what it says now', async (t) => {
  const drawing = new Drawing()
  drawing.take(stroke('gone.0', 'grace'))
  drawing.take({ undo: 'back', user: 'grace' })
  drawing.draw(stroke('mine.0'))
  drawing.reset()
  drawing.take(stroke('back.0', 'grace'))
  t.same(shown(drawing), [
    ['back', 'grace', 1],
    ['mine', 'ada', 1]
  ])
})

test('whoever takes the same publications has the same board, with strokes of its own or without', async (t) => {
  const user = fc.constantFrom('ada', 'grace')
  const line = fc.constantFrom('x', 'y', 'z')
  const publication = fc.oneof(
    { weight: 5, arbitrary: fc.record({ line, part: fc.nat(2), user }) },
    { weight: 1, arbitrary: fc.record({ undo: line, user }) },
    { weight: 1, arbitrary: fc.record({ clear: fc.constant('c'), user }) }
  )
  fc.assert(
    fc.property(fc.array(publication, { maxLength: 30 }), fc.array(fc.nat(30)), (raw, places) => {
      const log = raw.map((entry): Publication => {
        return 'line' in entry ? stroke(`${entry.user}-${entry.line}.${entry.part}`, entry.user) : entry
      })
      const newcomer = new Drawing()
      for (const entry of log) newcomer.take(entry)
      // Ada drew her strokes some time before they came back.
      const author = new Drawing()
      const own = log.filter(({ id, user }: Publication) => id !== undefined && user === 'ada')
      const drawnAt = own.map((entry, at) => [Math.min(places[at] ?? 0, log.indexOf(entry)), entry] as const)
      const drawn = new Set<string>()
      for (const [at, entry] of log.entries()) {
        for (const [when, { id = '' }] of drawnAt) {
          if (when !== at || drawn.has(id)) continue
          drawn.add(id)
          author.draw(stroke(id))
        }
        author.take(entry)
      }
      t.strictSame(shown(author), shown(newcomer))
    })
  )
})

test('pieces of a line are one run where each goes on, in whatever order they came', async (t) => {
  const line = new Line({ id: 'a', user: 'ada' })
  line.add(stroke('a.2', 'ada', [2, 2, 3, 3]), 'dry')
  line.add(stroke('a.0', 'ada', [0, 0, 1, 1]), 'dry')
  t.equal(line.runs.length, 2, 'one is missing')
  line.add(stroke('a.1', 'ada', [1, 1, 2, 2]), 'dry')
  t.same(line.runs, [{ colour: 'ink', width: undefined, points: [0, 0, 1, 1, 2, 2, 3, 3], refused: false }])
  t.equal(line.runs, line.runs, 'and the same as long as nothing changes')
  line.add({ ...stroke('a.3', 'ada', [3, 3, 4, 4]), colour: 'red' }, 'dry')
  t.equal(line.runs.length, 2, 'another colour is another run')
  line.remove('a.3')
  t.equal(line.size, 3)
})

test('strokes of clients that know no pieces are lines of their own', async (t) => {
  const drawing = new Drawing()
  for (const id of ['s1', 's2', 'a.b', 'a.c']) drawing.take(stroke(id))
  t.same(shown(drawing), [
    ['s1', 'ada', 1],
    ['s2', 'ada', 1],
    ['a', 'ada', 2]
  ])
})

test('one drag of a pen is one stroke, in however many pieces it came', async (t) => {
  const drawing = new Drawing()
  for (const id of ['a.0', 'a.1', 'a.2']) drawing.take(stroke(id))
  drawing.take(stroke('c.0', 'grace'))
  drawing.draw(stroke('b.0'))
  t.same([drawing.count, drawing.size], [3, 5])
  drawing.hide('a', 'ada')
  t.equal(drawing.count, 2)
})
