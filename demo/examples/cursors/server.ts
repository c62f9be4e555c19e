import { fileURLToPath } from 'node:url'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import realtime, { forbidden } from 'fastify-realtime'
import { Type } from 'typebox'
import { authenticate, site } from '../site.ts'

const PUBLISH_INTERVAL = 50 // milliseconds between two publications of a board

const Board = Type.Object({ board: Type.String({ pattern: '^[a-z]{1,32}$' }) })
const Part = Type.Number({ minimum: 0, maximum: 1 }) // of the board's width or height
const Move = Type.Object({ ...Board.properties, x: Part, y: Part }, { additionalProperties: false })

// Your database.
const members = new Map([['plan', ['ada', 'grace']]])

function mustBeMember(user: string | undefined, board: string): string {
  if (user === undefined || !members.get(board)?.includes(user)) throw forbidden()
  return user
}

export async function buildApp() {
  const app = Fastify({ logger: true, ajv: { customOptions: { coerceTypes: false } } })
  await app.register(site, { page: new URL('page/', import.meta.url) })
  await app.register(realtime, {
    redis: process.env.REDIS_URL,
    auth: { sources: [], authenticate },
    // Without `origins`, only pages of this host may connect.
    limits: {
      maxPayload: 4_096,
      messages: { rate: 40, burst: 80 },
      // A slow reader loses the oldest positions, which are of no use to it.
      buffered: { soft: 16_384 },
      connections: { perUser: 20 }
    }
  })

  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  routes.channel('cursors/:board', {
    presence: true,
    joinLeave: true,
    schema: { params: Board },
    onSubscribe: ({ user, params }) => ({ info: { name: mustBeMember(user?.sub, params.board) } })
  })

  // The newest position of each connection since the last publication, by board.
  const moves = new Map<string, Map<string, { x: number; y: number }>>()
  let timer: NodeJS.Timeout | undefined

  // A call, so that the client knows when to send the next position. The connection's id is the server's.
  routes.rpc('cursors.move', { schema: { data: Move } }, ({ user, connection, data: { board, x, y } }) => {
    mustBeMember(user?.sub, board)
    const positions = moves.get(board) ?? new Map()
    moves.set(board, positions.set(connection, { x, y }))
    timer ??= setTimeout(flush, PUBLISH_INTERVAL)
    return {}
  })

  /** One publication for all cursors of a board, however many moved and however often. */
  async function flush(): Promise<void> {
    timer = undefined
    const boards = [...moves]
    moves.clear()
    for (const [board, positions] of boards) {
      try {
        await app.realtime.publish(app.channelName('cursors/:board', { board }), Object.fromEntries(positions))
      } catch (err) {
        app.log.warn({ err }, 'positions were not published') // the next ones will do
      }
    }
  }
  app.addHook('onClose', async () => clearTimeout(timer))
  return app
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const app = await buildApp()
  closeWithGrace({ delay: 30_000 }, async ({ err }) => {
    if (err) app.log.error({ err }, 'the process ends')
    await app.realtime.drain()
    await app.close()
  })
  await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
