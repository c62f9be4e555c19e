import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { unmeasured } from './coverage.ts'
import { type Totals, totalsFile } from './reporter.ts'
import { provideRequirements } from './requirements.ts'
import { root, run, runBin, runNode } from './run.ts'
import { needsBuild, writeSettings } from './tap-settings.ts'

/*
 * `npm test` checks everything, in order, up to the first step that fails. `npm test -- test/broker/memory.test.ts`
 * (or any other arguments for tap) runs those tests alone: neither linted nor held to full coverage, which a part of
 * the tests can't reach.
 */
const started = performance.now()
const args = process.argv.slice(2)
const passed = args.length > 0 ? await runTests(args) : await runAll()
console.log(`${passed ? 'Passed' : 'Failed'} after ${((performance.now() - started) / 1000).toFixed(1)} s`)
process.exitCode = passed ? 0 : 1

async function runAll(): Promise<boolean> {
  try {
    Object.assign(process.env, provideRequirements())
  } catch (error) {
    console.error((error as Error).message)
    return false
  }
  return run('npm', ['run', '--silent', 'lint']) && (await runTests([]))
}

async function runTests(args: readonly string[]): Promise<boolean> {
  const partial = args.length > 0
  const { settings, file } = await writeSettings()
  process.env.TAP_RCFILE = file
  if (needsBuild(settings) && !runBin('tap', ['build'])) return false

  const totals = join(root, totalsFile)
  rmSync(totals, { force: true })
  // tsx is here for the reporter and the coverage map, which tap loads; the tests get it by the settings.
  const tap = 'node_modules/tap/dist/esm/run.mjs'
  const options = partial ? ['--allow-incomplete-coverage', '--allow-empty-coverage'] : ['--fail-only']
  const passed = runNode([tap, ...options, ...args])
  const forgotten = passed && !partial ? unmeasured() : []
  for (const file of forgotten) console.error(`${file}: no test loads this file`)
  // No totals: tap itself could not start or end.
  if (!existsSync(totals)) return false
  const { passed: good, failed: bad } = JSON.parse(readFileSync(totals, 'utf8')) as Totals
  // CI counts by this line.
  console.log(`${good} passed, ${bad} failed`)
  return passed && forgotten.length === 0
}
