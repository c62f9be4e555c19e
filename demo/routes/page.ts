import { readFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import files from '@fastify/static'
import { buildSync } from 'esbuild'
import type { FastifyPluginAsync } from 'fastify'
import { type Packed, pack, sendPacked } from '../packed.ts'

const folder = fileURLToPath(new URL('../page', import.meta.url))

/** Packages that the page imports, by the name under /modules/. */
const PACKAGES = {
  centrifuge: 'centrifuge',
  uplot: 'uplot',
  'realtime-client': 'fastify-realtime/client'
}

/** Stylesheets of packages, by the name under /modules/. */
const STYLES = { uplot: 'uplot/dist/uPlot.min.css' }

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
  await app.register(files, { root: folder, wildcard: false, cacheControl: false, index: false })
  const index = pack(readFileSync(join(folder, 'index.html')), 'text/html; charset=utf-8')
  app.get('/', (request, reply) => sendPacked(request, reply, index))
  for (const [name, file] of bundleWhiteboard()) {
    app.get(`/modules/${name}`, (request, reply) => sendPacked(request, reply, file))
  }
  app.get('/dashboard', (_request, reply) => reply.sendFile('dashboard/index.html'))
  for (const [name, path] of Object.entries(STYLES)) {
    const text = readFileSync(fileURLToPath(import.meta.resolve(path)), 'utf8')
    app.get(`/modules/${name}.css`, async (_request, reply) => reply.type('text/css; charset=utf-8').send(text))
  }
  for (const [name, text] of bundle()) {
    app.get(`/modules/${name}.js`, async (_request, reply) => reply.type('text/javascript; charset=utf-8').send(text))
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
