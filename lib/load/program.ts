import { writeFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { loadCommand, type ResultOptions, runOptions } from './command.ts'
import { judge, tableOf } from './figures.ts'
import { RunError } from './preflight.ts'
import { progressOn } from './progress.ts'
import { reportOf } from './report.ts'
import { runLoad } from './run.ts'
import { type LoadOptions, UsageError } from './target.ts'

/* The command `fastify-realtime`. Figures go to stdout, everything else to stderr. */

const STATUS = { fine: 0, failed: 1, misused: 2, impossible: 3 }
// After Ctrl-C the terminal signals every process, and npm signals again: the second of the two does not count.
const SAME_SIGNAL = 500
const INTERRUPTED = 130

/** Runs a command line. Resolves with the exit status. */
export async function program(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  // A reader that closes early, like `head`, does not end the run.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  let status = STATUS.fine
  const all = new Command('fastify-realtime').description('Tools for servers that use fastify-realtime.')
  const load = loadCommand()
  load.action(async (url: string) => {
    status = await run(runOptions(url, load.opts(), env), load.opts())
  })
  for (const command of [all, load]) command.exitOverride().showHelpAfterError('--help lists what there is.')
  all.addCommand(load)
  try {
    if (argv.length < 3) all.outputHelp()
    else await all.parseAsync(argv)
    return status
  } catch (error) {
    // Commander has printed its message, or the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? STATUS.fine : STATUS.misused
    process.stderr.write(`error: ${(error as Error).message}\n`)
    if (error instanceof UsageError) return STATUS.misused
    return error instanceof RunError ? STATUS.impossible : STATUS.failed
  }
}

async function run(options: LoadOptions, { json, report, quiet, expect = [] }: ResultOptions): Promise<number> {
  const progress = progressOn(quiet ? { write: () => true } : process.stderr, options.connections, options.duration)
  const controller = new AbortController()
  const release = onInterruption(() => controller.abort())
  const result = await runLoad(options, controller.signal, (moment) => progress.show(moment)).finally(() => {
    progress.clear()
    release()
  })
  const verdicts = expect.map((expectation) => judge(expectation, result))
  process.stdout.write(json ? `${JSON.stringify({ ...result, expectations: verdicts })}\n` : tableOf(result, verdicts))
  if (report !== undefined) {
    writeFileSync(report, reportOf(result, verdicts))
    process.stderr.write(`The report is in ${report}\n`)
  }
  return verdicts.every(({ held }) => held) ? STATUS.fine : STATUS.failed
}

/** Calls back at the first Ctrl-C. The second ends the process. Returns what stops that. */
function onInterruption(callback: () => void): () => void {
  let first: number | undefined
  const handler = () => {
    if (first !== undefined && performance.now() - first > SAME_SIGNAL) process.exit(INTERRUPTED)
    first ??= performance.now()
    callback()
  }
  process.on('SIGINT', handler).on('SIGTERM', handler)
  return () => void process.off('SIGINT', handler).off('SIGTERM', handler)
}
