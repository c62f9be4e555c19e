import t from 'tap'
import { HttpSessions, makeSession } from '../../lib/http/http-sessions.ts'

const letter = { data: Buffer.from('{}'), isBinary: false }

t.test('only the whole session finds its connection', async (t) => {
  const sessions = new HttpSessions()
  const session = makeSession('c1')
  t.match(session, /^c1\.[\w-]{22}$/)
  t.not(makeSession('c1'), session)
  const connection = { id: 'c1', emulation: { session }, deliver: () => 'delivered' as const }
  t.equal(sessions.deliver(session, letter), 'unknown')
  sessions.add(connection)
  t.equal(sessions.deliver(session, letter), 'delivered')
  for (const wrong of ['', 'c1', 'c1.', `${session.slice(0, -1)}~`, `${session}x`, makeSession('c2')]) {
    t.equal(sessions.deliver(wrong, letter), 'unknown', wrong)
  }
  sessions.delete(connection)
  t.equal(sessions.deliver(session, letter), 'unknown')
})
