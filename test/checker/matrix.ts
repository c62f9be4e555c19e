import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Test } from 'tap'
import { FAULTS, faultsNamed } from './faults.ts'
import { MUTATIONS, type MutationName } from './mutations.ts'
import { type Protocol, runTrial, type TrialResult } from './trial.ts'

/*
 * `npm run check:faults` runs every fault. Options choose trials and their size:
 *
 *   npm run check:faults -- --faults SIGKILL,eviction --protocol sockets --seconds 10 --seed 7
 *
 * --faults takes texts, apart by commas: faults whose name has one of them in it.
 * --protocol is what the clients use: sockets (of an `app.ws` route), channels (by the published client of the channel
 * protocol, JSON over WebSocket), protobuf, http_stream, sse (by the same client), or both (half of them sockets, half of
 * them channels). Several are run one after the other; by default sockets,channels.
 * --seconds, --seed, --clients, --channels and --rate are the size of a trial; --mutate puts a seeded fault into the
 * library. A whole run, or one with --write, notes its figures in results.json.
 */
const RESULTS = new URL('results.json', import.meta.url)
const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: '' },
    seconds: { type: 'string', default: '18' },
    seed: { type: 'string', default: '1' },
    clients: { type: 'string', default: '60' },
    channels: { type: 'string', default: '20' },
    rate: { type: 'string', default: '300' },
    mutate: { type: 'string' },
    protocol: { type: 'string', default: 'sockets,channels' },
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
const faults = faultsNamed(values.faults)
const results: TrialResult[] = []
const protocols = values.protocol.split(',') as Protocol[]
for (const [protocol, fault] of protocols.flatMap((one) => faults.map((fault) => [one, fault] as const))) {
  const result = await attended(async (t) => runTrial(t, fault, { ...settings, protocol, mutation }))
  results.push(result)
  if ((values.write || values.faults === '') && mutation === undefined) note(result)
  const { figures, recoveryGap, violations, seconds } = result
  console.log(`${violations.length === 0 ? 'ok    ' : 'FAILED'} ${fault.name}, ${protocol} (${seconds} s)`)
  console.log(`       ${JSON.stringify(figures)}`)
  console.log(`       recovery gap, ms: ${JSON.stringify(recoveryGap)}`)
  for (const { rule, message } of violations.slice(0, 20)) console.log(`       ${rule}: ${message.slice(0, 400)}`)
  if (violations.length > 20) console.log(`       and ${violations.length - 20} more`)
}
const violations = results.reduce((sum, result) => sum + result.violations.length, 0)
console.log(`${results.length} trials, ${violations} violations`)
process.exitCode = violations === 0 ? 0 : 1

/** Puts a result into the file, in place of an earlier one of the same fault. */
function note({ violations, ...result }: TrialResult): void {
  const trial = { ...result, settings, versions: versions(), violations: violations.length }
  const before: (typeof trial)[] = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : []
  const trials = [...before.filter((one) => one.fault !== trial.fault || one.protocol !== trial.protocol), trial]
  const order = FAULTS.map(({ name }) => name)
  const place = ({ fault, protocol }: typeof trial) => order.indexOf(fault) + (protocol === 'sockets' ? 0 : 0.5)
  trials.sort((a, b) => place(a) - place(b))
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
    ioredis: manifest('ioredis'),
    centrifuge: manifest('centrifuge')
  }
}
