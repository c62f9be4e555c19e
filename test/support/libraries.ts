import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { Server as SocketIo } from 'socket.io'
import { WebSocket, WebSocketServer } from 'ws'

/** Another library that serves WebSockets on the application's server. */
export interface Library {
  /** Adds it to the application. */
  add(app: FastifyInstance): unknown
  /** Declares its routes, once this package is there; nothing for most. */
  declare?(app: FastifyInstance): unknown
  /** A client of its own talks to it; resolves with what it was answered. */
  talk(port: number): Promise<unknown>
  readonly answer: unknown
  stop?(): unknown
}

const SCHEMA = 'type Query { hello: String } type Subscription { count: Int }'

/** The libraries by name. The types of some of them would need an installation to be checked. */
export const libraries: Readonly<Record<string, () => Promise<Library>>> = {
  async '@fastify/http-proxy'() {
    const { default: proxy } = await import('@fastify/http-proxy' as string)
    const upstream: Server = createServer()
    const sockets = new WebSocketServer({ server: upstream })
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`upstream ${data}`)))
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    const { port } = upstream.address() as AddressInfo
    return {
      add: (app) => app.register(proxy, { upstream: `http://127.0.0.1:${port}`, prefix: '/up', websocket: true }),
      talk: (port) => ask(port, '/up'),
      answer: ' upstream hi',
      stop: () => {
        for (const socket of sockets.clients) socket.terminate()
        upstream.close()
      }
    }
  },

  async mercurius() {
    const { default: mercurius } = await import('mercurius' as string)
    const resolvers = { Subscription: { count: { subscribe: count } } }
    return {
      add: (app) =>
        app.register(mercurius, {
          schema: SCHEMA,
          resolvers,
          subscription: { fullWsTransport: true },
          path: '/mercurius'
        }),
      talk: (port) => subscribe(port, '/mercurius'),
      answer: [1, 2]
    }
  },

  async 'graphql-ws'() {
    const { makeHandler } = await import('graphql-ws/use/@fastify/websocket' as string)
    const { buildSchema } = await import('graphql' as string)
    const schema = buildSchema(SCHEMA)
    schema.getSubscriptionType().getFields().count.subscribe = count
    return {
      add: () => undefined,
      declare: (app) =>
        app.get('/graphql', { websocket: true, config: { realtime: { auth: false } } }, makeHandler({ schema })),
      talk: (port) => subscribe(port, '/graphql'),
      answer: [1, 2]
    }
  },

  async 'socket.io'() {
    let io: SocketIo | undefined
    return {
      add(app) {
        io = new SocketIo(app.server, { transports: ['websocket'] })
      },
      // Its handshake by hand: the server opens with a packet of type 0.
      async talk(port) {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`)
        const opened = await new Promise<string>((resolve, reject) => {
          socket.once('message', (data) => resolve(String(data)))
          socket.once('error', reject)
        })
        socket.terminate()
        return opened.slice(0, 7)
      },
      answer: '0{"sid"',
      stop: () => io?.close()
    }
  },

  async ws() {
    const sockets = new WebSocketServer({ noServer: true })
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`bare ${data}`)))
    return {
      add: (app) =>
        app.server.on('upgrade', (request, stream, head) => {
          if (request.url !== '/bare') return
          sockets.handleUpgrade(request, stream, head, (socket) => sockets.emit('connection', socket, request))
        }),
      talk: (port) => ask(port, '/bare', ['first', 'second']),
      answer: 'first bare hi',
      stop: () => {
        for (const socket of sockets.clients) socket.terminate()
      }
    }
  }
}

async function* count() {
  yield { count: 1 }
  yield { count: 2 }
}

/** Says "hi", and gives the protocol and the answer. */
export async function ask(port: number, path: string, protocols?: string[]): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols)
  const answer = await new Promise<string>((resolve, reject) => {
    socket.once('open', () => socket.send('hi'))
    socket.once('message', (data) => resolve(String(data)))
    socket.once('error', reject)
    socket.once('close', (code) => reject(new Error(`closed with ${code}`)))
  })
  socket.terminate()
  return `${socket.protocol} ${answer}`
}

/** Subscribes to `count` as clients of graphql-ws do, and gives what came. */
async function subscribe(port: number, path: string): Promise<number[]> {
  const { createClient } = await import('graphql-ws' as string)
  const client = createClient({ url: `ws://127.0.0.1:${port}${path}`, webSocketImpl: WebSocket, retryAttempts: 0 })
  const counts: number[] = []
  await new Promise<void>((resolve, reject) => {
    client.subscribe(
      { query: 'subscription { count }' },
      {
        next: ({ data }: { data: { count: number } }) => void counts.push(data.count),
        error: (cause: unknown) => reject(new Error('refused', { cause })),
        complete: resolve
      }
    )
  })
  await client.dispose()
  return counts
}
