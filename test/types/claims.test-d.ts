import type { FastifyInstance } from 'fastify'
import type { AuthOptions, Claims, ConnectContext, RealtimeOptions } from '../../lib/index.ts'
import { type Equal, expect } from './equal.ts'

/* The claims of an application that has not declared its own. Declared ones: test/docs/examples.test.ts. */

export function undeclared(app: FastifyInstance) {
  app.ws('/a', async (socket) => {
    expect<Equal<typeof socket.user, Claims | null>>()
    const sub: string | undefined = socket.user?.sub
    const exp: number | undefined = socket.user?.exp
    expect<Equal<NonNullable<typeof socket.user>['tenant'], unknown>>()
    return void [sub, exp]
  })
  app.channel('a', { onSubscribe: ({ user }) => void expect<Equal<typeof user, Claims | null>>() })
  app.rpc('b', ({ user }) => expect<Equal<typeof user, Claims | null>>())
  expect<Equal<ConnectContext['user'], Claims | null>>()
}

export const good: AuthOptions[] = [
  { verify: (token) => ({ sub: token }) },
  { verify: async (token) => ({ sub: token, exp: 1, tenant: 'a' }) },
  { authenticate: (request) => (request.ip === '' ? undefined : { sub: request.ip }) },
  { authenticate: async () => undefined },
  { sources: ['cookie'] }
]

export const bad: RealtimeOptions[] = [
  // @ts-expect-error: claims, not a name
  { auth: { verify: (token) => token } },
  // @ts-expect-error: nobody
  { auth: { verify: () => undefined } },
  // @ts-expect-error: sub is a string
  { auth: { verify: async () => ({ sub: 7 }) } },
  // @ts-expect-error: claims without sub
  { auth: { authenticate: () => ({ id: 'ada' }) } },
  // @ts-expect-error: undefined refuses
  { auth: { authenticate: () => false } },
  // @ts-expect-error: no such source
  { auth: { sources: ['body'] } }
]
