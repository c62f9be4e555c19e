import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { pageAssets } from './page-assets.ts'
import { KEPT } from './page-headers.ts'

// A route that no list of an API shows.
const HIDDEN = { schema: { hide: true } as object }

/** Declares the page's own files. They hold no figures. */
export async function declarePage(app: FastifyInstance): Promise<void> {
  const { html, style, script, icon } = await pageAssets()
  const page = file(html, 'text/html; charset=utf-8')
  app.get('/', HIDDEN, (request, reply) => {
    const { pathname } = new URL(request.raw.url as string, 'http://localhost')
    if (pathname.endsWith('/')) return page(request, reply)
    // The page's addresses are relative to a folder. So is this one: a proxy may have taken off the path before it.
    return reply.redirect(`./${pathname.slice(pathname.lastIndexOf('/') + 1)}/`, 302)
  })
  app.get('/page.css', HIDDEN, file(style, 'text/css; charset=utf-8'))
  app.get('/page.js', HIDDEN, file(script, 'text/javascript; charset=utf-8'))
  app.get('/icon.svg', HIDDEN, file(icon, 'image/svg+xml'))
}

/** Answers with a text, or with 304 if the browser has it already. */
function file(text: string, type: string) {
  const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 16)}"`
  return (request: FastifyRequest, reply: FastifyReply) => {
    reply.headers({ etag, 'cache-control': KEPT })
    if (request.headers['if-none-match'] === etag) return reply.code(304).send()
    return reply.type(type).send(text)
  }
}
