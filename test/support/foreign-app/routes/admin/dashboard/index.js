import dashboard from 'fastify-realtime/dashboard'

export default async (app) => {
  await app.register(dashboard, { name: process.env.NODE_NAME })
}
