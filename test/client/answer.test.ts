import t from 'tap'
import { answer } from '../../lib/client/answer.ts'

function link(lost = false) {
  const sent: unknown[] = []
  return { lost, sent, send: (text: string) => void sent.push(JSON.parse(text)) }
}

t.test('a request of the server has a reply or an error, unless its connection is gone', async (t) => {
  const open = link()
  const refuse = () => {
    throw Object.assign(new Error('not now'), { code: 'busy' })
  }
  await answer(open as never, 1, { a: 1 }, async (data) => data)
  await answer(open as never, 2, 0, () => undefined)
  await answer(open as never, 3, 0, refuse)
  await answer(open as never, 4, 0, () => 1n)
  t.match(open.sent, [
    { id: 1, reply: { a: 1 } },
    { id: 2, reply: null },
    { id: 3, error: { code: 'busy', message: 'not now' } },
    { id: 4, error: { code: 'internal', message: String } }
  ])
  const lost = link(true)
  await answer(lost as never, 1, 0, () => 1)
  t.same(lost.sent, [])
})
