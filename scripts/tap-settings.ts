// Hands tap.config.ts to tap, which reads settings from YAML only, and says when the first `tap build` is due.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import tapConfig from '../tap.config.ts'
import { root } from './run.ts'

/** Writes the settings to a file of JSON, which is YAML too. Returns its path, for TAP_RCFILE. */
export function writeSettings(): string {
  const file = join(root, '.tap/taprc')
  mkdirSync(join(root, '.tap'), { recursive: true })
  writeFileSync(file, `${JSON.stringify(tapConfig, null, 2)}\n`)
  return file
}

/**
 * Does tap's installed Test class have a plugin that the settings exclude? `tap build` makes the class again. tap
 * notices by itself too, but then it builds in the middle of the run and exits with 1.
 */
export function needsBuild(): boolean {
  const tap = createRequire(createRequire(import.meta.url).resolve('tap'))
  const [, built = ''] = readFileSync(tap.resolve('@tapjs/test/built'), 'utf8').match(/signature = `([^`]*)`/) ?? []
  const excluded = (tapConfig.plugin as string[]).filter((name) => name.startsWith('!')).map((name) => name.slice(1))
  return built.split('\n').some((name) => excluded.includes(name))
}
