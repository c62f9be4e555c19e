export default async (app) => {
  // This application believes what its users say.
  app.post('/login', async (request) => {
    const { user, role = 'guest' } = request.body
    request.session.set('user', { sub: user, role })
    return {}
  })
  app.ws('/chat/:room', async (socket, request) => {
    const channel = `rooms/${request.params.room}`
    await socket.subscribe(channel)
    socket.sendJson('subscribed')
    for await (const message of socket.messages()) await socket.publish(channel, message)
  })
  app.channel('rooms/:room', { prefix: false, onSubscribe: true, history: { size: 200, ttl: 600_000 } })
}
