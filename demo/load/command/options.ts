import { accessSync, closeSync, constants, openSync, realpathSync, statSync, unlinkSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { MIN_PAYLOAD } from '../stamp.ts'
import { type Expectation, ExpectationError, parseExpectation } from './expectations.ts'
import { OPTION_TABLE } from './option-table.ts'
import { chooseTarget, type Target, TargetError } from './target.ts'

/** The options of a run. Times are in milliseconds. */
export interface LoadOptions {
  readonly target: Target
  readonly connections: number
  /** Channels that each connection subscribes to. */
  readonly subscriptions: number
  readonly ramp: number
  readonly duration: number
  /** Messages a second, all publishers together; 0 for connections that stay idle. */
  readonly rate: number
  /** Maximum number; may be infinite. */
  readonly messages: number
  /** Per channel or room; undefined for as many as needed to keep each below its share. */
  readonly publishers: number | undefined
  /** Bytes of a message, as JSON. */
  readonly payload: number
  /** The data to publish, instead of text of that many bytes. */
  readonly message: Readonly<Record<string, unknown>> | undefined
  readonly slowReaders: number
  readonly slowFor: number
  readonly reconnectStorm: boolean
  readonly token: string | undefined
  readonly tokenSecret: string | undefined
  readonly users: number
  readonly claims: Readonly<Record<string, unknown>>
  readonly origin: string | undefined
  readonly expectations: readonly Expectation[]
  /** The HTML file's path. */
  readonly report: string | undefined
  readonly json: boolean
  readonly quiet: boolean
}

/** The options are wrong; the message says what to give. */
export class OptionError extends Error {
  override readonly name = 'OptionError'
}

type Environment = Readonly<Record<string, string | undefined>>
type Values = Readonly<Record<string, string | boolean | string[] | undefined>>

const MAX_CONNECTIONS = 1_000_000
const MAX_RATE = 1_000_000
const MAX_PAYLOAD = 1024 * 1024
// A day: longer than any token lasts.
const MAX_TIME = 86_400_000
const MIN_DURATION = 100
const CONNECTIONS_PER_SECOND = 1_000
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, '': 1000 }

/** Reads the command line; `'help'` if only the help is requested. Throws an OptionError. */
export function readOptions(args: readonly string[], env: Environment): LoadOptions | 'help' {
  const values = parse(args)
  if (values.help) return 'help'
  const target = readTarget(values)
  const connections = wholeNumber(values, 'connections', 1, MAX_CONNECTIONS) ?? 100
  const duration = time(values, 'duration', MIN_DURATION) ?? 10_000
  const options: LoadOptions = {
    target,
    connections,
    subscriptions: wholeNumber(values, 'subscriptions', 1, 128) ?? 1,
    ramp: time(values, 'ramp', 0) ?? (connections / CONNECTIONS_PER_SECOND) * 1000,
    duration,
    rate: number(values, 'rate', 0, MAX_RATE) ?? 100,
    messages: wholeNumber(values, 'messages', 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY,
    publishers: wholeNumber(values, 'publishers', 1, 1000),
    payload: wholeNumber(values, 'payload', MIN_PAYLOAD, MAX_PAYLOAD) ?? 128,
    message: object(values, 'message'),
    slowReaders: wholeNumber(values, 'slow-readers', 0, connections) ?? 0,
    slowFor: time(values, 'slow-for', 0) ?? duration / 2,
    reconnectStorm: values['reconnect-storm'] === true,
    token: text(values, 'token'),
    tokenSecret: text(values, 'token-secret') ?? (values.token === undefined ? env.JWT_SECRET || undefined : undefined),
    users: wholeNumber(values, 'users', 1, connections) ?? connections,
    claims: object(values, 'claims') ?? {},
    origin: text(values, 'origin'),
    expectations: readExpectations(values),
    report: readReport(values),
    json: values.json === true,
    quiet: values.quiet === true
  }
  refuseContradictions(options, values)
  return options
}

function parse(args: readonly string[]): Values {
  const options = Object.fromEntries(
    OPTION_TABLE.map(({ name, value, repeats = false }) => {
      const type = value === undefined ? ('boolean' as const) : ('string' as const)
      return [name, { type, multiple: repeats }]
    })
  )
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values as Values
  } catch (error) {
    // Node's sentences also explain positional arguments, which do not exist here.
    const [said = ''] = (error as Error).message.split(/\n|\. (?:To specify|This command)/)
    throw new OptionError(`${said.replace(/\.$/, '')}; --help lists what there is`)
  }
}

function readTarget(values: Values): Target {
  const subscriptions = wholeNumber(values, 'subscriptions', 1, 128) ?? 1
  const connections = wholeNumber(values, 'connections', 1, MAX_CONNECTIONS) ?? 100
  // The default must also fit less than ten connections.
  const channels = Math.min(10, connections * subscriptions)
  try {
    return chooseTarget({
      url: text(values, 'url') ?? 'ws://127.0.0.1:3000',
      channels: wholeNumber(values, 'channels', 1, MAX_CONNECTIONS),
      rooms: wholeNumber(values, 'rooms', 1, MAX_CONNECTIONS),
      echo: values.echo === true,
      channelName: text(values, 'channel-name'),
      defaultChannels: channels
    })
  } catch (error) {
    if (error instanceof TargetError) throw new OptionError(error.message)
    throw error
  }
}

function readExpectations(values: Values): Expectation[] {
  const given = (values.expect ?? []) as string[]
  try {
    return given.map(parseExpectation)
  } catch (error) {
    if (error instanceof ExpectationError) throw new OptionError(error.message)
    throw error
  }
}

/** Checked now rather than after a run of an hour. */
function readReport(values: Values): string | undefined {
  const given = text(values, 'report')
  if (given === undefined) return undefined
  const path = resolve(given)
  try {
    tryToWrite(path)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'EISDIR') throw new OptionError(`--report: ${given} is a folder: name a file in it`)
    const isAbsent = code === 'ENOENT' || code === 'ENOTDIR'
    if (isAbsent) throw new OptionError(`--report: the folder of ${given} is not there`)
    throw new OptionError(`--report: ${given} can't be written (${code})`)
  }
  return path
}

/** Changes nothing: an earlier report is worth more than the report of a failed run. */
function tryToWrite(path: string): void {
  const existing = statSync(path, { throwIfNoEntry: false })
  if (existing !== undefined && !existing.isFile() && !existing.isDirectory()) {
    // Opening a pipe waits for its reader.
    accessSync(path, constants.W_OK)
    return
  }
  closeSync(openSync(path, 'a'))
  // The target of a symbolic link, rather than the link.
  if (existing === undefined) unlinkSync(realpathSync(path))
}

function refuseContradictions(options: LoadOptions, values: Values): void {
  const { target, connections, subscriptions, slowReaders } = options
  if (values.token !== undefined && values['token-secret'] !== undefined) {
    throw new OptionError('--token and --token-secret exclude each other: one token for all, or one signed for each')
  }
  if (options.tokenSecret === undefined && (values.users !== undefined || values.claims !== undefined)) {
    throw new OptionError('--users and --claims are about tokens that are signed here: give --token-secret')
  }
  if (options.message !== undefined && values.payload !== undefined) {
    throw new OptionError('--payload says how long the text is to be, and --message leaves it out: give one of them')
  }
  if (target.protocol !== 'channels' && subscriptions > 1) {
    throw new OptionError('--subscriptions is for --channels: on other routes a connection is in one room')
  }
  if (target.protocol === 'echo') {
    if (slowReaders > 0) throw new OptionError('--slow-readers is for channels and rooms: here nobody else would read')
    if (options.publishers !== undefined) {
      throw new OptionError('--publishers is for channels and rooms: on an echo route every connection sends')
    }
    return
  }
  const kind = target.protocol
  if (subscriptions > target.groups) {
    throw new OptionError(`--subscriptions ${subscriptions} needs as many --channels; there are ${target.groups}`)
  }
  if (connections * subscriptions < target.groups) {
    throw new OptionError(
      `--${kind} ${target.groups} with ${connections} connections: some would be empty; raise --connections`
    )
  }
  if (slowReaders > 0 && (connections - slowReaders) * subscriptions < target.groups) {
    throw new OptionError(
      `--slow-readers ${slowReaders} leaves too few connections to publish: at most ` +
        `${connections - Math.ceil(target.groups / subscriptions)} here`
    )
  }
}

function text(values: Values, name: string): string | undefined {
  const value = values[name]
  if (value === '') throw new OptionError(`--${name} is empty`)
  return value as string | undefined
}

function number(values: Values, name: string, least: number, most: number): number | undefined {
  const given = text(values, name)
  if (given === undefined) return undefined
  const value = Number(given)
  if (/^\d+(\.\d+)?$/.test(given) && value >= least && value <= most) return value
  throw new OptionError(`--${name} must be a number from ${least} to ${most}, not '${given}'`)
}

function wholeNumber(values: Values, name: string, least: number, most: number): number | undefined {
  const given = text(values, name)
  if (given === undefined) return undefined
  const value = Number(given)
  if (/^\d+$/.test(given) && value >= least && value <= most) return value
  throw new OptionError(`--${name} must be a whole number from ${least} to ${most}, not '${given}'`)
}

/** `30`, `30s`, `500ms` or `2m`. */
function time(values: Values, name: string, least: number): number | undefined {
  const given = text(values, name)
  if (given === undefined) return undefined
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(given) ?? []
  const value = Number(digits) * (UNITS[unit] as number)
  if (value >= least && value <= MAX_TIME) return value
  const bounds = `from ${least} ms to ${MAX_TIME / 3_600_000} hours`
  throw new OptionError(`--${name} must be a time ${bounds} such as 30, 500ms or 2m, not '${given}'`)
}

function object(values: Values, name: string): Record<string, unknown> | undefined {
  const given = text(values, name)
  if (given === undefined) return undefined
  try {
    const value: unknown = JSON.parse(given)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Reported below, with the expected form.
  }
  throw new OptionError(`--${name} must be a JSON object such as '{"a":1}', not '${given}'`)
}
