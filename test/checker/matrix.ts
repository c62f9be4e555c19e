import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Test } from 'tap'
import { FAULTS } from './faults.ts'
import { MUTATIONS, type MutationName } from './mutations.ts'
import { runTrial, type TrialResult } from './trial.ts'

/*
 * `npm run check:faults` runs every fault, or those whose name has a text in it:
 *
 *   npm run check:faults -- --only SIGKILL --seconds 10 --seed 7
 *
 * A whole run, or one with --write, notes its figures in results.json. --mutate puts a seeded fault into the library.
 */
const RESULTS = new URL('results.json', import.meta.url)
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seconds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    clients: { type: 'string', default: '60' },
    channels: { type: 'string', default: '20' },
    rate: { type: 'string', default: '300' },
    mutate: { type: 'string' },
    write: { type: 'boolean', default: false }
  }
})

const settings = {
  nodes: 3,
  seed: Number(values.seed),
  seconds: Number(values.seconds),
  clients: Number(values.clients),
  channels: Number(values.channels),
  rate: Number(values.rate)
}
const mutation = values.mutate === undefined ? undefined : MUTATIONS[values.mutate as MutationName]
const faults = FAULTS.filter(({ name }) => name.includes(values.only))
const results: TrialResult[] = []
for (const fault of faults) {
  const result = await attended(async (t) => runTrial(t, fault, { ...settings, mutation }))
  results.push(result)
  if ((values.write || values.only === '') && mutation === undefined) note(result)
  const { figures, recoveryGap, violations, seconds } = result
  console.log(`${violations.length === 0 ? 'ok    ' : 'FAILED'} ${fault.name} (${seconds} s)`)
  console.log(`       ${JSON.stringify(figures)}`)
  console.log(`       recovery gap, ms: ${JSON.stringify(recoveryGap)}`)
  for (const { rule, message } of violations.slice(0, 20)) console.log(`       ${rule}: ${message.slice(0, 400)}`)
  if (violations.length > 20) console.log(`       and ${violations.length - 20} more`)
}
const violations = results.reduce((sum, result) => sum + result.violations.length, 0)
console.log(`${results.length} faults, ${violations} violations`)
process.exitCode = violations === 0 ? 0 : 1

/** Puts a result into the file, in place of an earlier one of the same fault. */
function note({ violations, ...result }: TrialResult): void {
  const trial = { ...result, settings, versions: versions(), violations: violations.length }
  const before: (typeof trial)[] = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : []
  const trials = [...before.filter((one) => one.fault !== trial.fault), trial]
  const order = FAULTS.map(({ name }) => name)
  trials.sort((a, b) => order.indexOf(a.fault) - order.indexOf(b.fault))
  writeFileSync(RESULTS, `${JSON.stringify(trials, null, 2)}\n`)
}

/** Runs what expects a test, for its teardown, outside of one. */
async function attended<T>(run: (t: Test) => Promise<T>): Promise<T> {
  const teardowns: (() => unknown)[] = []
  try {
    return await run({ teardown: (fn: () => unknown) => teardowns.push(fn) } as unknown as Test)
  } finally {
    for (const teardown of teardowns.reverse()) await teardown()
  }
}

function versions(): Record<string, string> {
  const manifest = (name: string) =>
    JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version
  const redis = /v=([\d.]+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
  return {
    node: process.version,
    redis,
    fastify: manifest('fastify'),
    ws: manifest('ws'),
    ioredis: manifest('ioredis')
  }
}
