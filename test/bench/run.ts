import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { pinned } from './processes.ts'
import { CONTENDED, type RowResult, summarize, table } from './report.ts'
import { Bench, type Measured, type Row, type Subject } from './row.ts'
import { rows } from './rows/index.ts'

/*
 * `npm run bench`: this package beside what one would write without it, in one run. See docs/benchmarks.md.
 *
 *   --rows a,b   only these        --runs n   of each subject, 3 unless told        --json   print results.json instead
 */

const RESULTS = new URL('./results.json', import.meta.url)
const PACKAGES = [
  'fastify',
  '@fastify/websocket',
  '@fastify/jwt',
  'ws',
  'ioredis',
  'socket.io',
  '@socket.io/redis-adapter'
]
// How often a run is measured again because another process had the CPU.
const RETRIES = 1

interface Results {
  readonly node: string
  readonly cpus: number
  readonly pinned: boolean
  readonly versions: Readonly<Record<string, string>>
  readonly rows: readonly RowResult[]
}

const { values: args } = parseArgs({
  options: {
    rows: { type: 'string', default: rows.map(({ name }) => name).join() },
    runs: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false }
  }
})

const runs = Number(args.runs)
const chosen = args.rows.split(',').map((name) => rows.find((row) => row.name === name) ?? fail(`no row ${name}`))
if (!Number.isInteger(runs) || runs < 1) fail('--runs takes a number of at least 1')

function fail(problem: string): never {
  console.error(`${problem}. Rows: ${rows.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}

async function measureQuietly(row: Row, subject: Subject): Promise<Measured> {
  let best = await Bench.measure(row, subject)
  for (let i = 0; i < RETRIES && best.contention > CONTENDED; i++) {
    const again = await Bench.measure(row, subject)
    if (again.contention < best.contention) best = again
  }
  return best
}

/** Interleaved, A B C A B C, so that what changes on the machine meanwhile changes it for all. */
async function measureRow(row: Row): Promise<RowResult> {
  const measured = new Map<string, Measured[]>(row.subjects.map(({ name }) => [name, []]))
  for (let run = 0; run < runs; run++) {
    for (const subject of row.subjects) {
      process.stderr.write(`\r\x1b[K${row.name} ${run + 1}/${runs}: ${subject.name}`)
      measured.get(subject.name)?.push(await measureQuietly(row, subject))
    }
  }
  process.stderr.write('\r\x1b[K')
  return summarize(row, measured)
}

function installedVersion(name: string): string {
  const manifest = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

/** Rows that were not measured this time are kept, as long as they were measured under the same conditions. */
function keepOthers(results: Results): Results {
  let before: Results
  try {
    before = JSON.parse(readFileSync(RESULTS, 'utf8')) as Results
  } catch {
    return results
  }
  const withoutRows = ({ rows: _, ...rest }: Results) => JSON.stringify(rest)
  if (withoutRows(before) !== withoutRows(results)) return results
  const find = (from: Results, name: string) => from.rows.find((row) => row.name === name)
  return { ...results, rows: rows.flatMap(({ name }) => find(results, name) ?? find(before, name) ?? []) }
}

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
  if (!args.json) console.log(`${table(result)}\n`)
  // After each row: what has been measured is kept where somebody stops the rest.
  writeFileSync(RESULTS, `${JSON.stringify(keepOthers({ ...conditions, rows: measured }), null, 2)}\n`)
}
if (args.json) console.log(JSON.stringify({ ...conditions, rows: measured }, null, 2))
