import { isUnsent, lastNodeError } from '../../dependencies.ts'
import { BrokerError, UnavailableError, UnknownOutcomeError } from '../../errors.ts'

/*
 * Classifies the errors of Redis and ioredis. Their text is never passed on, because it contains arguments (such as the
 * password of AUTH), keys and addresses. Only the error's first word and the name of a command are passed on.
 */

// The server did nothing, because it can't at the moment.
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

// The text of Redis 7.0 for a command that a script may not run.
const SCRIPT_DENIED = /user executing the script can't/
// The user may not access a key or channel with this name.
const DENIED_NAMES = /access (?:one of the|the '[^']*') (keys?|channels?)\b/
const DENIED_COMMAND = /'([a-z|]{1,40})' command/

interface RedisError extends Error {
  readonly code?: string
}

/** The first word of the server's error (`OOM`), or the code of ioredis (`ECONNREFUSED`), or `timeout` or `closed`. */
export function errorWord(error: unknown): string {
  const { name, message, code } = error as RedisError
  const nodeError = lastNodeError(error as Error)
  if (nodeError) return errorWord(nodeError)
  if (name === 'ReplyError') return SCRIPT_DENIED.test(message) ? 'NOPERM' : firstWord(message)
  return code ?? (message === 'Command timed out' ? 'timeout' : 'closed')
}

/** The error to report if the configuration is wrong, so that no retry helps. Undefined for any other error. */
export function fatalError(error: unknown): Error | undefined {
  const word = errorWord(error)
  return ['WRONGPASS', 'NOAUTH', 'NOPERM', 'NOPROTO'].includes(word) ? refusal(word, error as Error) : undefined
}

/** The server accepts no writes at the moment. Reads may still work. */
export function isRefusedWrite(error: unknown): boolean {
  return ['NOREPLICAS', 'OOM', 'MISCONF', 'CLUSTERDOWN'].includes(errorWord(error))
}

/**
 * Converts the error of a command to the error for the caller of the broker.
 * @param writes The command changes something: if it got no answer, its outcome is unknown.
 */
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
