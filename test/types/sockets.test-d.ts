import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import type { FastifyPluginAsyncTypebox, TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { WebsocketHandler } from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Claims, MessageOf, RealtimeSocket, ReplyOf, RequestOf } from 'fastify-realtime'
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { Type } from 'typebox'
import type { WebSocket } from 'ws'
import { z } from 'zod'
import { type Equal, expect } from './equal.ts'

/* What a handler of `app.ws` is given, as TypeScript sees it. Nothing here runs: `tsc` is the test. */

export function withoutProvider(app: FastifyInstance) {
  app.ws('/a', async (socket, request) => {
    expect<Equal<typeof socket, RealtimeSocket<unknown>>>()
    expect<Equal<typeof request.params, unknown>>()
    expect<Equal<typeof request.query, unknown>>()
    expect<Equal<typeof socket.user, Claims | null>>()
    for await (const message of socket.messages()) expect<Equal<typeof message, unknown>>()
  })
  app.ws('/b', { schema: { message: { type: 'string' } } }, async (socket) => {
    for await (const message of socket.messages()) expect<Equal<typeof message, unknown>>()
  })
  app.ws('/this', async function (socket) {
    const prefix: string = this.prefix
    // @ts-expect-error: the instance, not just anything
    const wrong: number = this.prefix
    this.log.info({ prefix, wrong }, socket.id)
  })
  expect<Equal<ReturnType<typeof app.ws>, FastifyInstance>>()
  app.ws('/c', { onRequest: async (request) => request.log.info(request.url) }, (socket) => {
    const raw: WebSocket = socket
    raw.on('message', (data, isBinary) => raw.send(data, { binary: isBinary }))
  })
  app.get('/raw', { websocket: true }, (socket, request) => {
    expect<Equal<typeof socket, RealtimeSocket>>()
    const raw: WebSocket = socket
    raw.on('message', (data, isBinary) => raw.send(data, { binary: isBinary }))
    expect<Equal<typeof request extends FastifyRequest ? true : false, true>>()
  })
}

export function hardenedRoutes(app: FastifyInstance) {
  app.route({
    method: 'GET',
    url: '/route',
    websocket: true,
    handler: (socket, request) => {
      expect<Equal<typeof socket, RealtimeSocket>>()
      request.log.info(socket.id)
    }
  })
  app.get<{ Params: { room: string } }>('/rooms/:room', { websocket: true }, async (socket, request) => {
    const room: string = request.params.room
    await socket.subscribe(room)
    socket.sendJson({ room })
  })
  // As written for @fastify/websocket.
  app.get('/old', { websocket: true }, (socket: WebSocket) => socket.send('hello'))
  const handler: WebsocketHandler = (socket) => socket.close()
  app.get('/handler', { websocket: true }, handler)
  // Other routes stay what they are.
  app.get('/plain', async (request, reply) => reply.send(request.url))
  app.route({ method: 'GET', url: '/both', handler: async () => 'plain', wsHandler: (socket) => socket.send('hello') })
  // @ts-expect-error: a socket, not a reply
  app.get('/wrong', { websocket: true }, (socket) => socket.code(200))
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get(
      '/typed/:id',
      { websocket: true, schema: { params: Type.Object({ id: Type.Number() }) } },
      (socket, request) => {
        expect<Equal<typeof request.params, { id: number }>>()
        expect<Equal<typeof socket, RealtimeSocket>>()
      }
    )
}

export function withTypeBox(plain: FastifyInstance) {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>()
  const schema = {
    params: Type.Object({ board: Type.String() }),
    querystring: Type.Object({ since: Type.Optional(Type.Integer()) }),
    headers: Type.Object({ 'x-tenant': Type.String() }),
    message: Type.Object({ points: Type.Array(Type.Number()), colour: Type.String() })
  }
  app.ws('/boards/:board', { schema }, async (socket, request) => {
    expect<Equal<typeof request.params, { board: string }>>()
    expect<Equal<typeof request.query, { since?: number }>>()
    expect<Equal<(typeof request.headers)['x-tenant'], string>>()
    for await (const message of socket.messages()) {
      expect<Equal<typeof message, { points: number[]; colour: string }>>()
      // @ts-expect-error: not in the schema
      message.thickness
    }
  })
  app.ws('/inline', { schema: { message: Type.Union([Type.Literal('a'), Type.Literal('b')]) } }, async (socket) => {
    for await (const message of socket.messages()) expect<Equal<typeof message, 'a' | 'b'>>()
  })
  app.ws('/params', { schema: { params: Type.Object({ id: Type.Number() }) } }, async (socket, request) => {
    expect<Equal<typeof request.params, { id: number }>>()
    for await (const message of socket.messages()) expect<Equal<typeof message, unknown>>()
  })
  app.ws('/plain', async (_, request) => {
    expect<Equal<typeof request.query, unknown>>()
  })
  expect<Equal<MessageOf<TypeBoxTypeProvider, { message: ReturnType<typeof Type.Boolean> }>, boolean>>()
}

export function withZod(plain: FastifyInstance) {
  const app = plain.withTypeProvider<ZodTypeProvider>()
  const schema = {
    params: z.object({ board: z.string() }),
    querystring: z.object({ since: z.coerce.number().optional() }),
    message: z.object({ at: z.string().transform((text) => new Date(text)) })
  }
  app.ws('/boards/:board', { schema }, async (socket, request) => {
    expect<Equal<typeof request.params, { board: string }>>()
    expect<Equal<typeof request.query, { since?: number | undefined }>>()
    for await (const message of socket.messages()) expect<Equal<typeof message, { at: Date }>>()
  })
  app.ws('/own-compiler', { validatorCompiler, schema: { message: z.string() } }, async (socket) => {
    for await (const message of socket.messages()) expect<Equal<typeof message, string>>()
  })
}

export function requestsWithTypeBox(plain: FastifyInstance) {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>()
  const schema = {
    params: Type.Object({ shop: Type.String() }),
    message: Type.String(),
    request: Type.Object({ order: Type.Integer(), note: Type.Optional(Type.String()) }),
    reply: Type.Object({ state: Type.Union([Type.Literal('packed'), Type.Literal('sent')]) })
  }
  type Order = { order: number; note?: string }
  type State = { state: 'packed' | 'sent' }
  expect<Equal<RequestOf<TypeBoxTypeProvider, typeof schema>, Order>>()
  expect<Equal<ReplyOf<TypeBoxTypeProvider, typeof schema>, State>>()
  expect<Equal<RequestOf<TypeBoxTypeProvider, { message: typeof schema.message }>, unknown>>()
  expect<Equal<ReplyOf<TypeBoxTypeProvider, { message: typeof schema.message }>, unknown>>()
  app.ws(
    '/shops/:shop',
    {
      schema,
      requests: true,
      respond: async (data, socket, request) => {
        expect<Equal<typeof data, Order>>()
        expect<Equal<typeof socket, RealtimeSocket<string>>>()
        expect<Equal<typeof request.params, { shop: string }>>()
        // The reply's type is not settled yet while TypeScript looks at this: it would be `string` otherwise.
        return { state: data.order > 0 ? 'packed' : 'sent' } as const
      }
    },
    async (socket) => {
      expect<Equal<Awaited<ReturnType<typeof socket.request>>, unknown>>()
      expect<Equal<typeof socket.messageKey, string | undefined>>()
      for await (const message of socket.messages()) expect<Equal<typeof message, string>>()
    }
  )
  app.ws(
    '/at-once',
    { schema, respond: ({ order }) => ({ state: order > 0 ? 'packed' : 'sent' }) as const },
    async () => {}
  )
  // @ts-expect-error: a reply of the wrong type
  app.ws('/wrong', { schema, respond: () => ({ state: 'lost' }) }, async () => {})
  // @ts-expect-error: so is none
  app.ws('/none', { schema, respond: async () => {} }, async () => {})
  // @ts-expect-error: no such property of a request
  app.ws('/unknown', { schema, respond: ({ id }) => ({ state: id }) }, async () => {})
  app.ws('/anything', { respond: (data) => expect<Equal<typeof data, unknown>>() }, async () => {})
}

export function requestsWithJsonSchema(plain: FastifyInstance) {
  const app = plain.withTypeProvider<JsonSchemaToTsProvider>()
  const request = { type: 'object', properties: { order: { type: 'integer' } }, required: ['order'] } as const
  const reply = { type: 'object', properties: { state: { type: 'string' } }, required: ['state'] } as const
  app.ws('/orders', { schema: { request, reply }, respond: ({ order }) => ({ state: `${order}` }) }, async () => {})
  // @ts-expect-error: a reply of the wrong type
  app.ws('/wrong', { schema: { request, reply }, respond: ({ order }) => ({ state: order }) }, async () => {})
}

export function withJsonSchema(plain: FastifyInstance) {
  const app = plain.withTypeProvider<JsonSchemaToTsProvider>()
  app.ws(
    '/boards/:board',
    {
      schema: {
        params: { type: 'object', properties: { board: { type: 'string' } }, required: ['board'] },
        message: {
          type: 'object',
          properties: { kind: { enum: ['line', 'dot'] }, at: { type: 'array', items: { type: 'number' } } },
          required: ['kind'],
          additionalProperties: false
        }
      }
    },
    async (socket, request) => {
      const board: string = request.params.board
      // @ts-expect-error: a string
      const wrong: number = request.params.board
      for await (const message of socket.messages()) {
        expect<Equal<typeof message, { kind: 'line' | 'dot'; at?: number[] | undefined }>>()
      }
      return void [board, wrong]
    }
  )
}

export function inChildScopes(plain: FastifyInstance) {
  const plugin: FastifyPluginAsyncTypebox = async (child) => {
    child.ws('/child', { schema: { message: Type.String() } }, async (socket) => {
      for await (const message of socket.messages()) expect<Equal<typeof message, string>>()
    })
  }
  plain.register(plugin)
}

export function whatIsRefused(app: FastifyInstance) {
  const handler = async () => undefined
  // @ts-expect-error: a route without a handler
  app.ws('/a')
  // @ts-expect-error: an option that there isn't
  app.ws('/b', { config: { realtime: { hearbeat: {} } } }, handler)
  // @ts-expect-error: not per route
  app.ws('/c', { config: { realtime: { limits: { connections: { total: 1 } } } } }, handler)
  // @ts-expect-error: Fastify's handler
  app.ws('/d', { handler }, handler)
  // @ts-expect-error: of the wrong type
  app.ws('/e', { config: { realtime: { heartbeat: { interval: '25s' } } } }, handler)
  app.ws('/f', { config: { realtime: { auth: false, origins: /x/, limits: { maxPayload: 1 } }, mine: 1 } }, handler)
  // @ts-expect-error: of the wrong type
  app.get('/g', { websocket: true, config: { realtime: { heartbeat: { interval: '25s' } } } }, handler)
  app.get('/h', { websocket: true, config: { realtime: { auth: false } } }, handler)
}
