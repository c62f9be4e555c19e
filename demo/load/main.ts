import { writeFileSync } from 'node:fs'
import { judge, type Verdict } from './command/expectations.ts'
import { helpText } from './command/help.ts'
import { type LoadOptions, OptionError, readOptions } from './command/options.ts'
import { Progress } from './output/progress.ts'
import { reportOf } from './output/report/report.ts'
import { tableOf, verdictLine } from './output/table.ts'
import { RunError } from './preflight.ts'
import type { LoadResult } from './result.ts'
import { runLoad } from './run.ts'

/*
 * `npm run load`: the load tool. Figures go to stdout, everything else to stderr.
 */

// After a Ctrl-C the terminal signals every process, and npm signals again: the second of the two does not count.
const SAME_SIGNAL = 500
const INTERRUPTED = 130

const STATUS = { fine: 0, failed: 1, misused: 2 } as const

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), process.env)
  if (options === 'help') {
    process.stdout.write(helpText())
    return STATUS.fine
  }
  const result = await run(options, interruption())
  const verdicts = options.expectations.map((expectation) => judge(expectation, result))
  print(options, result, verdicts)
  if (options.report !== undefined) writeReport(options.report, reportOf(result, verdicts))
  return verdicts.every(({ held }) => held) ? STATUS.fine : STATUS.failed
}

async function run(options: LoadOptions, signal: AbortSignal): Promise<LoadResult> {
  const progress = new Progress(options.quiet ? { write: () => {} } : process.stderr)
  let phase: string | undefined
  let since = 0
  try {
    return await runLoad(options, signal, {
      onBegin: ({ run, tokens }) => progress.note(`run ${run}: ${tokens.source}`),
      onMoment: (moment) => {
        const now = performance.now()
        if (moment.phase !== phase) {
          phase = moment.phase
          since = now
        }
        const duration = phase === 'sending' ? Math.min(options.duration, (options.messages / options.rate) * 1000) : 0
        progress.show({ moment, asked: options.connections, elapsed: now - since, duration }, now)
      }
    })
  } finally {
    progress.clear()
  }
}

/** Aborts at the first Ctrl-C; the second ends the process. */
function interruption(): AbortSignal {
  const controller = new AbortController()
  let first: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      const now = performance.now()
      if (first !== undefined && now - first > SAME_SIGNAL) process.exit(INTERRUPTED)
      first ??= now
      controller.abort()
    })
  }
  return controller.signal
}

function print({ json }: LoadOptions, result: LoadResult, verdicts: readonly Verdict[]): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...result, expectations: verdicts })}\n`)
    for (const verdict of verdicts) if (!verdict.held) process.stderr.write(`${verdictLine(verdict)}\n`)
  } else {
    process.stdout.write(`\n${tableOf(result, verdicts)}`)
  }
}

function writeReport(path: string, html: string): void {
  try {
    writeFileSync(path, html)
  } catch (error) {
    // It was writable before the run, but for example the disk may be full now.
    throw new RunError(`the report could not be written: ${(error as Error).message}`)
  }
  process.stderr.write(`report: ${path}\n`)
}

/** A reader that closes early, like `head`, is no reason to leave out the report or to end with another status. */
function bearLostReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

bearLostReaders()
main().then(
  (status) => {
    // Not exit(): a pipe may not have taken all output yet.
    process.exitCode = status
  },
  (error: unknown) => {
    if (error instanceof OptionError || error instanceof RunError) {
      process.stderr.write(`${error.message}\n`)
      process.exitCode = error instanceof OptionError ? STATUS.misused : STATUS.failed
      return
    }
    throw error
  }
)
