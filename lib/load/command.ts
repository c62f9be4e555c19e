import { accessSync, constants, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { TRANSPORTS } from './channel-client.ts'
import { type Expectation, FIGURES, parseExpectation } from './figures.ts'
import { MIN_PAYLOAD } from './stamp.ts'
import { chooseTarget, type LoadOptions, type TargetChoice, UsageError } from './target.ts'

export interface ResultOptions {
  readonly expect?: readonly Expectation[]
  readonly report?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

const MOST = 1_000_000
const DAY = 86_400_000
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, '': 1000 }

const TARGET = 'What to load:'
const LOAD = 'How much:'
const FAULTS = 'Faults:'
const ACCESS = 'Tokens (the environment may hold JWT_SECRET to sign with, or LOAD_TOKEN):'
const RESULT = 'Result:'
const HELP = `
A <time> is in seconds, or has a unit: 500ms, 30s, 2m.
Without --channels, --rooms or --echo the path of the URL decides. If it ends in /echo or /json, each connection
gets its messages back. No path, or one like /connection/websocket, means channels. Any other path is one room.

Figures for --expect (times in milliseconds):
${FIGURES.map(([name, , meaning]) => `  ${name.padEnd(16)}${meaning}`).join('\n')}

Exit status: 0 all went well, 1 an expectation failed, 2 the command is wrong, 3 the run was not possible.
Ctrl-C ends a run early and prints the figures so far.

Examples:
  npx fastify-realtime load ws://localhost:3000/ws/echo
  npx fastify-realtime load ws://localhost:3000 --connections 1000 --rate 200 --report load.html
  npx fastify-realtime load ws://localhost:3000 --reconnect-storm --expect lost=0 --expect 'p99<5000'`

/** The definition of the command. It throws a CommanderError if it is used wrongly. */
export function loadCommand(): Command {
  const command = new Command('load')
    .description('Opens many connections, publishes at a fixed rate, and reports what arrived, and when.')
    .argument('[url]', 'the server, and the path of its route (ws, wss, http or https)', 'ws://127.0.0.1:3000')
    .helpOption('-h, --help', 'this text')
    .addHelpText('after', HELP)
  const add = (group: string, flags: string, meaning: string, parse?: Parse, value?: unknown, shown?: string) => {
    const option = new Option(flags, meaning).helpGroup(group).default(value, shown)
    command.addOption(parse === undefined ? option : option.argParser(parse as never))
    return option
  }
  const exclusive = ['rooms', 'echo']
  add(TARGET, '--channels <n>', 'channels to spread the connections over (10)', whole(1, MOST)).conflicts(exclusive)
  add(TARGET, '--rooms <n>', 'app.ws rooms to spread them over; {n} in the path is the number', whole(1, MOST))
  add(TARGET, '--echo', 'each connection gets its messages back').conflicts('rooms')
  add(TARGET, '--transport <name>', 'of channels; protobuf is over WebSocket').choices(TRANSPORTS).conflicts(exclusive)
  add(TARGET, '--channel-name <name>', 'their names; {run} is new in each run (rooms/load-{run}-{n})')
  add(TARGET, '--subscriptions <n>', 'channels of each connection', whole(1, 128), 1)
  add(TARGET, '--emulation <path>', 'for the commands of http_stream and sse', undefined, '/emulation')
  add(TARGET, '--origin <origin>', 'send this Origin, as a browser would')
  add(LOAD, '--connections <n>', 'connections to open', whole(1, MOST), 100)
  add(LOAD, '--ramp <time>', 'time over which they are opened (1 s for 1,000)', time(0))
  add(LOAD, '--duration <time>', 'time over which messages are sent', time(100), 10_000, '10')
  add(LOAD, '--rate <n>', 'messages a second, of all publishers together', number(0, MOST), 100)
  add(LOAD, '--messages <n>', 'stop after so many messages', whole(1, MOST * MOST), Number.POSITIVE_INFINITY, 'no end')
  add(LOAD, '--publishers <n>', 'for each channel or room (one for 20 messages a second)', whole(1, 1000))
  add(LOAD, '--payload <bytes>', 'size of a message', whole(MIN_PAYLOAD, 1024 * 1024), 128)
  add(LOAD, '--message <json>', 'an object to send; the key "load" is added to it', object).conflicts('payload')
  add(FAULTS, '--reconnect-storm', 'cut all connections in the middle; they reconnect and recover')
  add(FAULTS, '--slow-readers <n>', 'connections that stop reading after a quarter of the time', whole(0, MOST), 0)
  add(FAULTS, '--slow-for <time>', 'time for which they do not read (half of the duration)', time(0))
  add(ACCESS, '--secret-file <file>', 'sign a token (HS256) for each connection with the secret in this file', content)
  add(ACCESS, '--token-file <file>', 'tokens, one in each line; connections take turns', content).conflicts(
    'secretFile'
  )
  add(ACCESS, '--users <n>', 'users to sign tokens for (one for each connection)', whole(1, MOST))
  add(ACCESS, '--claims <json>', 'further claims of the signed tokens', object, {}, '{}')
  add(RESULT, '--expect <condition>', "such as 'lost=0' or 'p99<250'; may be repeated", conditions)
  add(RESULT, '--report <file>', 'write the figures and plots to this HTML file', writable)
  add(RESULT, '--json', 'print one JSON object instead of the table')
  add(RESULT, '--quiet', 'no progress')
  return command
}

type Given = LoadOptions & TargetChoice & { readonly secretFile?: string; readonly tokenFile?: string }

/** What a run does, by the parsed options and the environment. Throws a UsageError if they contradict each other. */
export function runOptions(address: string, parsed: object, env: NodeJS.ProcessEnv): LoadOptions {
  const given = parsed as Given
  const { connections, subscriptions, slowReaders } = given
  const target = chooseTarget(address, given, connections * subscriptions)
  const { protocol, groups } = target
  if (protocol !== 'channels' && subscriptions > 1) throw new UsageError('--subscriptions is for channels only')
  if (protocol === 'echo' && slowReaders > 0) throw new UsageError('--slow-readers is for channels and rooms only')
  if (subscriptions > groups) throw new UsageError(`--subscriptions ${subscriptions} needs as many --channels`)
  if ((connections - slowReaders) * subscriptions < groups) {
    throw new UsageError(`${groups} ${protocol} need as many connections that are not slow: use more --connections`)
  }
  const lines = (given.tokenFile ?? env.LOAD_TOKEN ?? '').split('\n').map((line) => line.trim())
  const tokens = lines.filter((line) => line !== '')
  return {
    ...given,
    target,
    tokens,
    secret: given.secretFile ?? (tokens.length > 0 ? undefined : env.JWT_SECRET || undefined),
    ramp: given.ramp ?? connections,
    slowFor: given.slowFor ?? given.duration / 2,
    users: given.users ?? connections
  }
}

type Parse = (text: string, before: never) => unknown

function number(least: number, most: number, form = /^\d+(\.\d+)?$/, kind = 'a number'): Parse {
  return (text) => {
    if (form.test(text) && Number(text) >= least && Number(text) <= most) return Number(text)
    throw new InvalidArgumentError(`It must be ${kind} from ${least} to ${most}.`)
  }
}

function whole(least: number, most: number): Parse {
  return number(least, most, /^\d+$/, 'a whole number')
}

function time(least: number): Parse {
  return (text) => {
    const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? []
    const value = Number(digits) * (UNITS[unit] as number)
    if (value >= least && value <= DAY) return value
    throw new InvalidArgumentError(`It must be a time from ${least} ms to 24 hours, such as 30, 500ms or 2m.`)
  }
}

const object: Parse = (text) => {
  const value = attempt(() => JSON.parse(text), 'It must be a JSON object such as \'{"a":1}\'.')
  return value instanceof Object && !Array.isArray(value) ? value : object('not JSON', undefined as never)
}

/** The text of a file that holds a secret or tokens. */
const content: Parse = (path) => attempt(() => readFileSync(path, 'utf8').trim(), 'The file cannot be read.')

const conditions = (text: string, before: readonly Expectation[] = []) => [...before, parseExpectation(text)]

/** Checked now rather than after a run of an hour. */
const writable: Parse = (path) => {
  attempt(() => accessSync(dirname(path), constants.W_OK), 'Its folder is not there, or cannot be written.')
  return path
}

function attempt<T>(look: () => T, problem: string): T {
  try {
    return look()
  } catch {
    throw new InvalidArgumentError(problem)
  }
}
