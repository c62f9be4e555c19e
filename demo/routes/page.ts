import { readFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import files from '@fastify/static'
import { buildSync } from 'esbuild'
import type { FastifyPluginAsync } from 'fastify'
import { type Packed, pack, sendPacked } from '../packed.ts'

const folder = fileURLToPath(new URL('../page', import.meta.url))

// Nothing from other hosts and nothing inline. Some browsers do not count a WebSocket to the same host as 'self'.
const HEADERS = {
  'content-security-policy':
    "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // The next load gets an update of the demo. Unchanged files are answered with 304.
  'cache-control': 'no-cache'
}

/** The whiteboard. */
const page: FastifyPluginAsync = async (app) => {
  app.addHook('onRequest', async (_request, reply) => void reply.headers(HEADERS))
  await app.register(files, { root: folder, wildcard: false, cacheControl: false, index: false })
  const index = pack(readFileSync(join(folder, 'index.html')), 'text/html; charset=utf-8')
  app.get('/', (request, reply) => sendPacked(request, reply, index))
  for (const [name, file] of bundleWhiteboard()) {
    app.get(`/modules/${name}`, (request, reply) => sendPacked(request, reply, file))
  }
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8'
}

/** The whiteboard's scripts and stylesheets, each as one file: a phone on a slow network makes two requests, not thirty. */
function bundleWhiteboard(): Map<string, Packed> {
  const { outputFiles } = buildSync({
    entryPoints: [
      { out: 'whiteboard', in: join(folder, 'board.js') },
      { out: 'whiteboard', in: join(folder, 'whiteboard.css') }
    ],
    outdir: '/',
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    alias: { 'fastify-realtime/client': fileURLToPath(import.meta.resolve('fastify-realtime/client')) },
    write: false
  })
  return new Map(
    outputFiles.map(({ path, text }) => [basename(path), pack(text, TYPES[extname(path)] as string)] as const)
  )
}

export default page
