import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const { resolve } = createRequire(import.meta.url)

/** A file of the package uPlot. The build replaces this module: in the published package it reads `dist/vendor`. */
export function uPlotFile(name: string): string {
  return readFileSync(resolve(`uplot/dist/${name}`), 'utf8')
}
