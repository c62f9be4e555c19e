// esbuild makes one file of `fastify-realtime/client`: tsc has no bundler, and a page may load the client as it is.
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import { root } from './run.ts'

/** Makes one small file without imports of `fastify-realtime/client`. `iife` makes a script that sets `client`. */
export function buildClient(outfile: string, format: 'esm' | 'iife' = 'esm'): void {
  buildSync({
    entryPoints: [join(root, 'lib/client/index.ts')],
    outfile,
    bundle: true,
    minify: true,
    format,
    globalName: format === 'iife' ? 'client' : undefined,
    target: 'es2022',
    logLevel: 'warning'
  })
}
