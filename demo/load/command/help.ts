import { FIGURES } from './expectations.ts'
import { OPTION_TABLE, type OptionEntry } from './option-table.ts'
import { TARGET_RULE } from './target.ts'

const WIDTH = 88
const INDENT = 26

/** The output of `--help`. */
export function helpText(): string {
  return [
    'Usage: npm run load -- [options]',
    '',
    'Opens connections to a server of fastify-realtime, publishes at a fixed rate, and reports',
    'latencies, and messages that were lost, duplicated or out of order.',
    '',
    'Protocol:',
    ...TARGET_RULE.map((rule) => `  ${rule}`),
    '',
    'Options (a TIME is in seconds, or has a unit: 500ms, 30s, 2m):',
    ...OPTION_TABLE.map(describe),
    '',
    'Figures that --expect knows, with =, !=, <, <=, > and >= (times in milliseconds):',
    ...Object.entries(FIGURES).map(([name, { meaning }]) => `  ${name.padEnd(INDENT - 2)}${meaning}`),
    '',
    'Exit status: 0 every expectation held, 1 one did not or there was no run,',
    '2 the options make no sense. Ctrl-C ends a run early, with the figures so far.',
    '',
    'Examples:',
    '  npm run load -- --connections 1000 --channels 10 --rate 200',
    "  npm run load -- --rooms 5 --reconnect-storm --expect 'lost=0' --expect 'not-recovered=0'",
    "  npm run load -- --url ws://127.0.0.1:3000/ws/json --expect 'p99<50' --json",
    ''
  ].join('\n')
}

function describe({ name, value, fallback, meaning, repeats }: OptionEntry): string {
  const head = `  --${name}${value === undefined ? '' : ` ${value}`}`
  const notes = [fallback === undefined ? '' : ` (default: ${fallback})`, repeats ? '; may be repeated' : ''].join('')
  const lines = wrap(meaning + notes, WIDTH - INDENT)
  const first = head.length < INDENT - 1 ? `${head.padEnd(INDENT)}${lines.shift()}` : head
  return [first, ...lines.map((line) => ' '.repeat(INDENT) + line)].join('\n')
}

function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) as string
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}
