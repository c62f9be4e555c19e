import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** A file of the package uPlot. The build replaces this module: in the published package it reads `dist/vendor`. */
export function uPlotFile(name: string): string {
  return readFileSync(createRequire(import.meta.url).resolve(`uplot/dist/${name}`), 'utf8')
}
