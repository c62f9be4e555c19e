import { types } from 'node:util'
import { ChannelError } from '../protocol/channel-errors.ts'

// What this package, and a logger, read of an error besides what can be enumerated.
const MEMBERS = 'constructor name message stack code statusCode cause errors temporary disconnects'.split(' ')
// Getters that are known to be harmless. Some versions of the engine have one for the stack.
const HARMLESS = new Set([
  undefined,
  descriptorOf(new Error(), 'stack')?.get,
  descriptorOf(ChannelError.prototype, 'disconnects')?.get
])

/**
 * What an application's code threw, as something that can be looked at and logged, as often as that takes. It may be
 * anything: a value whose own getters or traps throw, be it at the second look, would end the process where it is read.
 * So a value that is more than plain members is read once, here, and what was read is given as an error of its class.
 */
export function readable(thrown: unknown): unknown {
  if (Object(thrown) !== thrown) return thrown
  try {
    return isPlain(thrown as object) ? thrown : snapshotOf(thrown as object)
  } catch {
    return new Error('Something was thrown that cannot be read')
  }
}

/** True if reading it runs no code. */
function isPlain(thrown: object): boolean {
  if (isTrapped(thrown) || !isReadable(thrown, 'constructor')) return false
  const { constructor: maker } = thrown
  if (Object(maker) === maker && (isTrapped(maker) || !isReadable(maker, 'name'))) return false
  return MEMBERS.concat(enumerableNames(thrown)).every((name) => isReadable(thrown, name))
}

/** True if it is a proxy, or inherits from one. */
function isTrapped(value: object): boolean {
  for (let at: object | null = value; at !== null; at = Object.getPrototypeOf(at)) if (types.isProxy(at)) return true
  return false
}

function isReadable(value: object, name: string): boolean {
  return HARMLESS.has(descriptorOf(value, name)?.get)
}

function descriptorOf(value: object, name: string): PropertyDescriptor | undefined {
  for (let at: object | null = value; at !== null; at = Object.getPrototypeOf(at)) {
    const descriptor = Object.getOwnPropertyDescriptor(at, name)
    if (descriptor !== undefined) return descriptor
  }
  return undefined
}

function snapshotOf(thrown: object): object {
  const prototype: object | null = Object.getPrototypeOf(thrown)
  const snapshot = Object.create(prototype !== null && isTrapped(prototype) ? Error.prototype : prototype)
  const names = enumerableNames(thrown)
  for (const name of new Set([...MEMBERS, ...names])) {
    if (!(name in thrown)) continue
    const value: unknown = Reflect.get(thrown, name)
    Object.defineProperty(snapshot, name, { value, enumerable: names.includes(name) })
  }
  // Loggers write it.
  void snapshot.constructor?.name
  return snapshot
}

/** With what is inherited: so do loggers. */
function enumerableNames(value: object): string[] {
  const names: string[] = []
  for (const name in value) names.push(name)
  return names
}

/** Reports an error by throwing it: what is used if nobody takes reports. */
export function rethrow(error: unknown): never {
  throw error
}

/** What was being done for a client that has gone meanwhile, and failed for that. */
export function isConsequence(error: unknown): boolean {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown }
  return name === 'AbortError' || code === 'FST_RT_SOCKET_CLOSED'
}
