import Hapi from '@hapi/hapi'
import Nes from '@hapi/nes'
import { BACKLOG, HOST, listening } from './support.ts'

/* Control: hapi's nes, with one subscription that every client has. */
const server = new Hapi.Server({ port: 0, host: HOST, autoListen: false })
await server.register({
  plugin: Nes,
  options: {
    auth: false,
    heartbeat: false,
    onMessage(_socket, message) {
      void server.publish('/bench', message)
      return 'published'
    }
  }
})
server.subscription('/bench')
await server.start()
server.listener.listen({ port: 0, host: HOST, backlog: BACKLOG }, () => listening(server.listener))
