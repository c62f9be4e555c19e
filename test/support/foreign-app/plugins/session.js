import cookie from '@fastify/cookie'
import session from '@fastify/session'
import fp from 'fastify-plugin'

export default fp(
  async (app) => {
    await app.register(cookie)
    await app.register(session, {
      secret: 'a secret of more than thirty-two characters',
      cookie: { secure: false, sameSite: 'lax' }
    })
  },
  { name: 'app-session' }
)
