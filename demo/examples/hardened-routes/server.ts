import { fileURLToPath } from 'node:url'
import jwt from '@fastify/jwt'
import closeWithGrace from 'close-with-grace'
import Fastify, { type FastifyRequest } from 'fastify'
import realtime from 'fastify-realtime' // before: import websocket from '@fastify/websocket'
import { readSecret } from '../secret.ts'

const SYMBOL = /^[A-Z]{1,5}$/
const MOST_SYMBOLS = 20
const Price = {
  params: { type: 'object', properties: { symbol: { type: 'string', pattern: SYMBOL.source } } },
  body: {
    type: 'object',
    required: ['price'],
    additionalProperties: false,
    properties: { price: { type: 'number', minimum: 0, maximum: 1e9 } }
  }
} as const

interface Watcher {
  send(text: string): void
}

export async function buildApp() {
  const app = Fastify({ logger: true, bodyLimit: 1_024 })
  await app.register(jwt, { secret: readSecret('JWT_SECRET') })
  await app.register(realtime) // before: await app.register(websocket)

  const watchers = new Map<string, Set<Watcher>>()

  app.get('/prices', { websocket: true }, (socket) => {
    const watched = new Set<string>()
    socket.on('message', (data) => {
      const symbol = String(data)
      if (!SYMBOL.test(symbol) || watched.size === MOST_SYMBOLS) return socket.send('{"error":"invalid symbol"}')
      watched.add(symbol)
      watchers.set(symbol, (watchers.get(symbol) ?? new Set()).add(socket))
      socket.send(JSON.stringify({ watching: symbol }))
    })
    socket.on('close', () => {
      for (const symbol of watched) {
        const all = watchers.get(symbol)
        all?.delete(socket)
        if (all?.size === 0) watchers.delete(symbol)
      }
    })
  })

  const onlyTheFeed = async (request: FastifyRequest) => {
    const { sub } = await request.jwtVerify<{ sub: string }>()
    if (sub !== 'feed') throw Object.assign(new Error('Forbidden'), { statusCode: 403 })
  }
  app.put('/prices/:symbol', { onRequest: onlyTheFeed, schema: Price }, async (request) => {
    const { symbol } = request.params as { symbol: string }
    const { price } = request.body as { price: number }
    const text = JSON.stringify({ symbol, price })
    for (const watcher of watchers.get(symbol) ?? []) watcher.send(text)
    return { symbol, price }
  })
  return app
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const app = await buildApp()
  closeWithGrace({ delay: 30_000 }, async ({ err }) => {
    if (err) app.log.error({ err }, 'the process ends')
    await app.close()
  })
  await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
