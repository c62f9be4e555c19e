import t from 'tap'
import { describeClient } from '../../lib/session/client-info.ts'
import { type Client, sessionRig } from './session-rig.ts'

t.test('a client is described by its user, its connection, and what the application says of both', async (t) => {
  const rig = await sessionRig(t, { authenticated: false })
  const described = (client: Client, info?: unknown) => JSON.parse(describeClient(client.session, info).toString())
  const ada = await rig.client({ user: { sub: 'ada', info: { nick: 'A' } } })
  t.same(described(ada), { user: 'ada', client: 'c1', conn_info: { nick: 'A' } })
  t.same(described(ada, [1]), { user: 'ada', client: 'c1', conn_info: { nick: 'A' }, chan_info: [1] })
  t.same(described(await rig.client({ user: null })), { user: '', client: 'c2' })
})
