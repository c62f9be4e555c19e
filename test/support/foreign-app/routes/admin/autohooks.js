export default async (app) => {
  app.addHook('onRequest', async (request, reply) => {
    const user = request.session.get('user')
    if (user === undefined) return reply.code(401).send({ message: 'Sign in first' })
    if (user.role !== 'admin') return reply.code(403).send({ message: 'For administrators' })
  })
}
