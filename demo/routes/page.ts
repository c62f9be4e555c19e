import { fileURLToPath } from 'node:url'
import files from '@fastify/static'
import { buildSync } from 'esbuild'
import type { FastifyPluginAsync } from 'fastify'

const folder = fileURLToPath(new URL('../page', import.meta.url))

/** Packages that the page imports, by the name under /modules/. */
const PACKAGES = {
  centrifuge: 'centrifuge',
  'realtime-client': 'fastify-realtime/client'
}

// Nothing from other hosts and nothing inline. Some browsers do not count a WebSocket to the same host as 'self'.
const HEADERS = {
  'content-security-policy':
    "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // The next load gets an update of the demo. Unchanged files are answered with 304.
  'cache-control': 'no-cache'
}

/** The pages: the files as they are, and the packages that they import, each as one module for the browser. */
const page: FastifyPluginAsync = async (app) => {
  app.addHook('onRequest', async (_request, reply) => void reply.headers(HEADERS))
  await app.register(files, { root: folder, wildcard: false, cacheControl: false })
  for (const [name, text] of bundle()) {
    app.get(`/modules/${name}.js`, async (_request, reply) => reply.type('text/javascript; charset=utf-8').send(text))
  }
}

function bundle(): Map<string, string> {
  const entries = Object.entries(PACKAGES).map(([out, name]) => ({ out, in: fileURLToPath(import.meta.resolve(name)) }))
  const { outputFiles } = buildSync({
    entryPoints: entries,
    outdir: '/',
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false
  })
  return new Map(Object.keys(PACKAGES).map((name, at) => [name, outputFiles[at]?.text ?? '']))
}

export default page
