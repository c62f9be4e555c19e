import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { Cursors } = await pageModule('cursors.js')

/* What a cursor needs of a browser. */
class FakeElement {
  readonly dataset: Record<string, string> = {}
  readonly style: Record<string, string> = {}
  readonly children: FakeElement[] = []
  textContent = ''
  append(...more: FakeElement[]) {
    this.children.push(...more)
  }
  replaceChildren() {
    this.children.length = 0
  }
  remove() {}
}

Object.assign(globalThis, { document: { createElement: () => new FakeElement() } })

function open() {
  let publication: (context: object) => void = () => {}
  const subscription = {
    on: (_: string, listener: typeof publication) => (publication = listener),
    subscribe() {},
    unsubscribe() {}
  }
  const layer = new FakeElement()
  const client = { newSubscription: () => subscription, removeSubscription() {} }
  const cursors = new Cursors(layer, { id: 'me', client })
  cursors.open('one')
  const point = (client: string, user: string, at: number[] | null = [0.5, 0.5]) =>
    publication({ data: { at }, info: { client, user } })
  const shown = () => layer.children.filter(({ dataset }) => 'shown' in dataset).map(({ dataset }) => dataset.user)
  return { cursors, point, shown }
}

test('the cursor of somebody who left disappears with their presence, and does not come back', async (t) => {
  const { cursors, point, shown } = open()
  t.teardown(() => cursors.close())
  point('c1', 'Ada')
  point('c2', 'Grace')
  point('me', 'Me')
  t.same(shown(), ['Ada', 'Grace'])
  cursors.left({ client: 'c1', user: 'Ada' })
  t.same(shown(), ['Grace'])
  // It was on its way over another channel than the leave.
  point('c1', 'Ada')
  t.same(shown(), ['Grace'])
  point('c3', 'Ada')
  t.same(shown(), ['Grace', 'Ada'], 'she is back')
})

test('a killed worker says nothing of its clients: their cursors go when the presence ends', async (t) => {
  const { cursors, point, shown } = open()
  t.teardown(() => cursors.close())
  point('c1', 'Ada')
  point('c2', 'Grace')
  cursors.drew({ user: 'Poster', points: [0.1, 0.2] })
  cursors.keep(['me', 'c2'])
  t.same(shown(), ['Grace', 'Poster'], 'a poster by HTTP has no presence')
  cursors.drew({ user: 'Grace', points: [0.1, 0.2] })
  t.same(shown(), ['Grace', 'Poster'], 'one cursor is enough')
  cursors.left({ client: 'c9', user: 'Poster' })
  t.same(shown(), ['Grace'])
})
