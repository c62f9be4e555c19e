// Builds the dashboard's page: one script, one stylesheet, and no other request.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import type { PageAssets } from '../lib/dashboard/page-assets.ts'
import { root } from './run.ts'

const folder = join(root, 'lib/dashboard/page')
const require = createRequire(import.meta.url)

/**
 * The files of the page, ready to be served.
 *
 * @param uPlot The script of uPlot, with which the page's script begins.
 */
export function buildPage(uPlot = readFileSync(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8')): PageAssets {
  return {
    html: readFileSync(join(folder, 'index.html'), 'utf8').replace(/^\s+/gm, ''),
    style: bundle('style.css'),
    script: `${uPlot}${uPlotLicence()}${bundle('view/main.ts')}`,
    icon: readFileSync(join(folder, 'icon.svg'), 'utf8')
  }
}

function bundle(entry: string): string {
  const { outputFiles } = buildSync({
    entryPoints: [join(folder, entry)],
    absWorkingDir: root,
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    target: ['es2022', 'chrome111', 'firefox113', 'safari16.4'],
    legalComments: 'none',
    logLevel: 'warning'
  })
  return outputFiles[0]?.text ?? ''
}

/** The licence of uPlot, which is part of the script: its notice stays with all copies. */
function uPlotLicence(): string {
  const { version } = require('uplot/package.json') as { version: string }
  const text = readFileSync(require.resolve('uplot/LICENSE'), 'utf8').trim()
  return `/*! uPlot ${version}\n${text}\n*/\n`
}
