// `npm test`: prepares and checks what tap alone does not (Redis and a browser, the lint, files that no test loads).
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { unmeasured } from './coverage.ts'
import { type Totals, totalsFile } from './reporter.ts'
import { provideRequirements } from './requirements.ts'
import { root, run, runBin, runNode } from './run.ts'
import { needsBuild, writeSettings } from './tap-settings.ts'

/*
 * `npm test` runs every step up to the first that fails. `npm test -- test/broker/offset.test.ts` (or any other
 * arguments for tap) runs those tests only, without the lint and without a demand for full coverage, which a part of
 * the tests can't reach.
 */
const started = performance.now()
const args = process.argv.slice(2)
const passed = args.length > 0 ? runTests(args) : runAll()
console.log(`${passed ? 'Passed' : 'Failed'} after ${((performance.now() - started) / 1000).toFixed(1)} s`)
process.exitCode = passed ? 0 : 1

function runAll(): boolean {
  try {
    Object.assign(process.env, provideRequirements())
  } catch (error) {
    console.error((error as Error).message)
    return false
  }
  return run('npm', ['run', '--silent', 'lint']) && runTests([])
}

function runTests(args: readonly string[]): boolean {
  const partial = args.length > 0
  process.env.TAP_RCFILE = writeSettings()
  if (needsBuild() && !runBin('tap', ['build'])) return false

  // The runner loads the reporter and the coverage map, in TypeScript. The tests get their hooks by the settings.
  const tap = 'node_modules/tap/dist/esm/run.mjs'
  const options = partial ? ['--allow-incomplete-coverage', '--allow-empty-coverage'] : ['--fail-only']
  const passed = runNode([tap, ...options, ...args])
  const forgotten = passed && !partial ? unmeasured() : []
  for (const file of forgotten) console.error(`${file}: no test loads this file`)
  return printTotals() && passed && forgotten.length === 0
}

/** CI reads the counts from this line. There is none if tap itself could not start or end. */
function printTotals(): boolean {
  const file = join(root, totalsFile(process.pid))
  if (!existsSync(file)) return false
  const { passed, failed } = JSON.parse(readFileSync(file, 'utf8')) as Totals
  rmSync(file)
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0
}
