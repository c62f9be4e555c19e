// tap's own reporters count assertions, which a loop inflates, and redraw the screen or print every assertion. This one
// counts tests, and prints a line for each test file as it ends, with its failures in full below it.
import { writeFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { Parser, type Result } from 'tap-parser'

export interface Totals {
  passed: number
  failed: number
}

/** The file of the totals for scripts/test.ts, which starts the runner and prints them last. */
export function totalsFile(starter: number): string {
  return `.tap/totals-${starter}.json`
}

// Without a terminal, the table of coverage would cut its lists of lines to fit 80 columns.
process.stdout.columns ??= 160

/** The result of one test, or of one file of tests. */
class Suite {
  readonly name: string
  readonly #lines: string[] = []
  readonly #children: Suite[] = []
  #ok = true

  constructor(parser: Parser, path: readonly string[], ended?: (child: Suite, point: Result) => void) {
    this.name = parser.name
    parser.on('child', (child) => this.#children.push(new Suite(child, [...path, child.name])))
    parser.on('assert', (point) => {
      // The parent's stream has a point for each test, after the test's last line.
      const child = point.closingTestPoint ? this.#children.at(-1) : undefined
      // A test may fail although nothing in it did: a time-out, an exit code.
      if (!passes(point) && !child?.failed) (child ?? this).#fail([...path, point.name], point)
      if (child) ended?.(child, point)
    })
    parser.on('extra', (line) => this.#lines.push(line.trimEnd()))
    parser.on('bailout', (reason) => this.#fail([...path, `Bail out! ${reason}`]))
    parser.on('complete', ({ failures }) => {
      for (const failure of failures) if (failure.tapError) this.#fail([...path, `${failure.tapError}`])
    })
  }

  #fail(path: readonly string[], point?: Result): void {
    this.#ok = false
    this.#lines.push(`✗ ${path.join(' › ')}`)
    if (point?.skip || point?.todo) this.#lines.push(`  not run: ${point.skip || point.todo}`)
    else if (point?.diag) this.#lines.push(indent(describe(point.diag)))
  }

  get passed(): number {
    if (this.#children.length === 0) return this.#ok ? 1 : 0
    return this.#children.reduce((sum, child) => sum + child.passed, 0)
  }

  get failed(): number {
    return this.#children.reduce((sum, child) => sum + child.failed, this.#ok ? 0 : 1)
  }

  /** Its failures, and its output beside TAP. */
  get lines(): string[] {
    return [...this.#children.flatMap((child) => child.lines), ...this.#lines]
  }

  get ownLines(): readonly string[] {
    return this.#lines
  }
}

function passes(point: Result): boolean {
  return point.ok && !point.skip && !point.todo
}

/** tap's description of a failure, without what is the same for every test file. */
function describe({ stack, diff, ...rest }: NonNullable<Result['diag']>): string {
  const dull = ['at', 'source', 'compare', 'tapCaught', 'stdio', 'cwd', 'externalID', 'command', 'args', 'jobId']
  const lines = Object.entries(rest)
    .filter(([key]) => !dull.includes(key))
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
  if (stack) lines.push(stack.trimEnd().replace(/^/gm, 'at '))
  if (diff) lines.push(diff)
  return lines.join('\n')
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ')
}

/** A stream for tap: TAP goes in, the report comes out. */
export default class Reporter extends PassThrough {
  readonly #parser = new Parser()
  readonly #totals: Totals = { passed: 0, failed: 0 }

  constructor() {
    super()
    const all = new Suite(this.#parser, [], (file, point) => this.#report(file, point))
    this.#parser.on('complete', () => {
      for (const line of all.ownLines) super.write(`${line}\n`)
      writeFileSync(totalsFile(process.ppid), JSON.stringify(this.#totals))
      super.end()
    })
  }

  #report(file: Suite, point: Result): void {
    this.#totals.passed += file.passed
    this.#totals.failed += file.failed
    const time = `${((point.time ?? 0) / 1000).toFixed(1)} s`
    super.write(`${file.failed ? '✗' : '✓'} ${file.name}  ${file.passed} passed, ${file.failed} failed, ${time}\n`)
    if (file.failed) for (const line of file.lines) super.write(`${indent(line)}\n`)
  }

  override write(chunk: string | Buffer): boolean {
    return this.#parser.write(String(chunk))
  }

  override end(): this {
    this.#parser.end()
    return this
  }
}
