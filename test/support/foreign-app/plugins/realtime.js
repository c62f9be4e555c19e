import fp from 'fastify-plugin'
import realtime from 'fastify-realtime'

export default fp(
  async (app) => {
    await app.register(realtime, {
      redis: process.env.REDIS_URL,
      drain: { window: 3_000, timeout: 6_000 },
      heartbeat: { interval: 2_000 },
      auth: { authenticate: async (request) => request.session.get('user') }
    })
  },
  { name: 'app-realtime', dependencies: ['app-session'] }
)
