import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parse } from 'secure-json-parse'
import { CapacityError, InvalidArgumentError, UnavailableError } from '../errors.ts'
import type { Insight } from '../node/insight.ts'
import { parseNames, readDepths } from './depths.ts'
import type { Exchange } from './exchange.ts'
import type { KeyGuard } from './key-guard.ts'
import { HEADERS } from './page-headers.ts'
import { parseQuery } from './query.ts'
import { checkSameSite } from './same-site.ts'
import { StreamWatcher } from './stream-watcher.ts'

export interface LiveParts {
  readonly insight: Insight
  readonly exchange: Exchange
  readonly guard: KeyGuard | undefined
}

const MAX_BODY = 65_536
const MAX_PAGES = 32
// Milliseconds. Then the page asks again, so that the guard decides again.
const LIFETIME = 300_000
const UNAVAILABLE = new Set<unknown>(['FST_RT_UNAVAILABLE', 'FST_RT_UNKNOWN_OUTCOME'])

type Body = Readonly<Record<string, unknown>>

/** Declares the routes with figures, and the one that ends connections. All are POST requests with JSON. */
export async function declareLive(app: FastifyInstance, { insight, exchange, guard }: LiveParts): Promise<void> {
  const { realtime } = insight.node
  app.addHook('onRequest', async ({ headers, host, ip }) => {
    checkSameSite(headers, host)
    guard?.check(headers, ip)
  })
  // Parsers of the application may do anything. A form of another site cannot have this content type.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: MAX_BODY }, (_request, text, done) => {
    try {
      done(null, parse(text as string))
    } catch (error) {
      done(Object.assign(error as Error, { statusCode: 400 }))
    }
  })

  app.post('/live', { schema: { hide: true } as object }, (request, reply) => {
    const { past } = bodyOf(request)
    const query = parseQuery(bodyOf(request).query)
    if (query === undefined) throw new InvalidArgumentError('query', 'it is not one of this version')
    if (exchange.pages >= MAX_PAGES) throw new CapacityError()
    reply.hijack()
    const watcher = new StreamWatcher(reply.raw, query, HEADERS)
    const end = setTimeout(() => {
      watcher.send('{"kind":"end"}')
      watcher.end()
    }, LIFETIME)
    end.unref()
    reply.raw.once('close', () => {
      clearTimeout(end)
      exchange.close(watcher)
    })
    exchange.open(watcher, past === true)
  })

  app.post('/depths', { schema: { hide: true } as object }, async (request) => {
    const names = parseNames(bodyOf(request).channels)
    if (names === undefined) throw new InvalidArgumentError('channels', 'give at most 100 names')
    return readDepths(insight, names)
  })

  app.post('/disconnect', { schema: { hide: true } as object }, async (request) => {
    const { connection } = bodyOf(request)
    if (typeof connection !== 'string') throw new InvalidArgumentError('connection', 'give the id of a connection')
    request.log.info({ connection }, 'disconnected from the dashboard')
    const isHere = insight.node.registry.get(connection) !== undefined
    try {
      await realtime.disconnect({ connection }, { reason: 'disconnected by an administrator' })
    } catch (error) {
      // This node obeys by itself. The others cannot be reached while Redis is away.
      if (!UNAVAILABLE.has((error as { code?: unknown }).code)) throw error
      if (!isHere) throw new UnavailableError()
    }
    return {}
  })
}

function bodyOf({ body }: FastifyRequest): Body {
  return typeof body === 'object' && body !== null ? (body as Body) : {}
}
