import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { BASELINE, measureAllocations } from './allocations.ts'
import { pinned } from './processes.ts'
import { type RowResult, summarize } from './report.ts'
import { goalsOf, readResults, writePage, writeResults } from './results.ts'
import type { Contender, Measured, Row } from './row.ts'
import { rows } from './rows/index.ts'
import { CONTENDED, goalTable, rowTable } from './tables.ts'

/*
 * `npm run bench`: this package beside hand-written servers and other libraries, in one run. See docs/benchmarks.md.
 *
 *   --all          the long rows too        --rows a,b   only these         --runs n   of each, an odd number, default 3
 *   --write            keeps the figures in results.json and docs/benchmarks.md (`--runs 0`: renders them again)
 *   --write-baseline   measures nothing but what allocations.test.ts compares with, for this version of Node
 */
const PACKAGES = [
  'fastify',
  '@fastify/websocket',
  '@fastify/jwt',
  'ws',
  'ioredis',
  'socket.io',
  '@socket.io/redis-adapter',
  '@hapi/nes'
]
// How often a run is measured again because another process had the CPU.
const RETRIES = 1

const { values: args } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    rows: { type: 'string' },
    runs: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
    'write-baseline': { type: 'boolean', default: false }
  }
})

const runs = Number(args.runs)
if (!Number.isInteger(runs) || (runs !== 0 && runs % 2 !== 1)) fail('--runs takes an odd number')
const chosen =
  args.rows?.split(',').map((name) => rows.find((row) => row.name === name) ?? fail(`There is no row ${name}`)) ??
  rows.filter(({ long = false }) => args.all || !long)

function fail(problem: string): never {
  console.error(`${problem}. Rows: ${rows.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}

const contentionOf = (figures: readonly Measured[]) => Math.max(...figures.map(({ contention }) => contention))

async function measureQuietly(contender: Contender): Promise<readonly Measured[]> {
  let best = await contender.measure()
  for (let i = 0; i < RETRIES && contentionOf(best) > CONTENDED; i++) {
    const again = await contender.measure()
    if (contentionOf(again) < contentionOf(best)) best = again
  }
  return best
}

/** Interleaved, A B C A B C: if the machine changes meanwhile, it changes for all. */
async function measureRow(row: Row): Promise<RowResult> {
  const measured = new Map<string, Measured[]>()
  for (let run = 0; run < runs; run++) {
    for (const contender of row.contenders) {
      const { figures } = contender
      process.stderr.write(`\r\x1b[K${row.name} ${run + 1}/${runs}: ${figures[0]}`)
      const values = await measureQuietly(contender)
      for (const [at, figure] of figures.entries()) {
        measured.set(figure, [...(measured.get(figure) ?? []), values[at] as Measured])
      }
    }
  }
  process.stderr.write('\r\x1b[K')
  return summarize(row, measured, new Date().toISOString().slice(0, 10))
}

function installedVersion(name: string): string {
  const manifest = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

if (args['write-baseline']) {
  writeFileSync(BASELINE, `${JSON.stringify(await measureAllocations(), null, 2)}\n`)
} else if (runs > 0) {
  const started = performance.now()
  const conditions = {
    node: process.version,
    cpus: availableParallelism(),
    pinned,
    versions: Object.fromEntries(PACKAGES.map((name) => [name, installedVersion(name)]))
  }
  const measured: RowResult[] = []
  for (const row of chosen) {
    const result = await measureRow(row)
    measured.push(result)
    console.log(`${rowTable(result)}\n`)
    // After each row, so that a run that is interrupted has not measured for nothing.
    if (args.write)
      writeResults(
        { ...conditions, rows: measured },
        rows.map(({ name }) => name)
      )
  }
  console.log(`${goalTable(goalsOf(measured))}\n`)
  console.log(`Measured in ${((performance.now() - started) / 60_000).toFixed(1)} minutes`)
}
if (args.write) writePage(readResults())
