import t from 'tap'
import { NO_ROUTE, routeOf } from '../../lib/handshake/route.ts'
import { rig } from './admission-rig.ts'

const left = (expiresAt: number | undefined, now: number) => Math.round(((expiresAt ?? 0) - now) / 1_000)

t.test('the route of a request; a plain route is none', async (t) => {
  const { knock, declared } = await rig(t)
  t.equal(routeOf(knock().request), declared)
  const other = await rig(t, { route: false })
  t.equal(routeOf(other.knock().request), NO_ROUTE)
})

t.test('the settings of a connection: what its route and its token say', async (t) => {
  const { knock, declared, logged, wheel } = await rig(t)
  const { admit, handshake } = knock()
  await admit()
  const { heartbeat, limits } = declared.settings
  const { settings } = handshake
  t.match(settings, { id: 'socket-1', kind: 'messages', user: { sub: 'ada' }, heartbeat, limits, route: '/live' })
  t.equal(left(settings?.expiresAt, wheel.now()), 60, 'by the clock of the timers')
  settings?.log.info({ connection: 'socket-1' }, 'admitted')
  t.same(logged, [[{ connection: 'socket-1' }, 'admitted']])
})

t.test('a token without an end does not expire', async (t) => {
  const auth = { requiredClaims: ['sub'], verify: () => ({ sub: 'ada' }) }
  const { knock } = await rig(t, { auth })
  const { admit, handshake } = knock()
  await admit()
  t.equal(handshake.settings?.expiresAt, Number.POSITIVE_INFINITY)
})
