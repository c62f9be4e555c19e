import { isUnsent, lastNodeError } from '../../dependencies.ts'
import { BrokerError, UnavailableError, UnknownOutcomeError } from '../../errors.ts'

/*
 * Errors of Redis and ioredis, told apart. Nothing of their text goes on: it names arguments (a password among those
 * of AUTH), keys and addresses. What goes on is the error's first word, and the name of a command.
 */

// Said by a server that did nothing because it can't now.
const TRY_LATER = new Set([
  'READONLY',
  'LOADING',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'MOVED',
  'ASK',
  'BUSY',
  'NOREPLICAS'
])

const MEANINGS: Record<string, string> = {
  WRONGPASS: 'wrong user name or password',
  NOAUTH: 'it wants a password',
  NOPERM: 'this user lacks a permission',
  OOM: 'it is out of memory',
  WRONGTYPE: 'a key of ours holds something else',
  MISCONF: 'it cannot save to disk'
}

// Redis 7.0 says so of what a script may not do.
const SCRIPT_DENIED = /user executing the script can't/
// What the names of keys or channels must begin with.
const DENIED_NAMES = /access (?:one of the|the '[^']*') (keys?|channels?)\b/
const DENIED_COMMAND = /'([a-z|]{1,40})' command/

interface RedisError extends Error {
  readonly code?: string
}

/** The server's own word for an error (`OOM`), or ioredis's code (`ECONNREFUSED`), or what kind of error it is. */
export function errorWord(error: unknown): string {
  const { name, message, code } = error as RedisError
  const said = lastNodeError(error as Error)
  if (said) return errorWord(said)
  if (name === 'ReplyError') return SCRIPT_DENIED.test(message) ? 'NOPERM' : firstWord(message)
  return code ?? (message === 'Command timed out' ? 'timeout' : 'closed')
}

/** An error that no second try mends: what stands in the configuration is wrong. Undefined for any other. */
export function fatalError(error: unknown): Error | undefined {
  const word = errorWord(error)
  return ['WRONGPASS', 'NOAUTH', 'NOPERM', 'NOPROTO'].includes(word) ? refusal(word, error as Error) : undefined
}

/** A server that takes no writes at all for now, though it can perhaps be read. */
export function isRefusedWrite(error: unknown): boolean {
  return ['NOREPLICAS', 'OOM', 'MISCONF', 'CLUSTERDOWN'].includes(errorWord(error))
}

/** What the caller of a method gets for what a command was rejected with. `writes`: it may have been done. */
export function callerError(error: unknown, writes: boolean): Error {
  if ((error as Error).name !== 'ReplyError')
    return writes && !isUnsent(error as Error) ? new UnknownOutcomeError() : new UnavailableError()
  const word = errorWord(error)
  return TRY_LATER.has(word) ? new UnavailableError() : refusal(word, error as Error)
}

function refusal(word: string, error: Error): Error {
  const { message } = lastNodeError(error) ?? error
  const command = DENIED_COMMAND.exec(message)?.[1] ?? DENIED_NAMES.exec(message)?.[1]
  const meaning = MEANINGS[word]
  return new BrokerError(`${word}${meaning ? ` (${meaning}${command ? `: ${command}` : ''})` : ''}`)
}

function firstWord(message: string): string {
  return /^[A-Z]{1,32}/.exec(message)?.[0] ?? 'ERR'
}
