import { types } from 'node:util'
import { ChannelError } from '../protocol/channel-errors.ts'

// The members of an error that this package or a logger reads, in addition to the enumerable ones.
const MEMBERS = 'constructor name message stack code statusCode cause errors temporary disconnects'.split(' ')
// Getters that are known to be harmless. Some versions of the engine have a getter for the stack.
const HARMLESS = new Set([
  undefined,
  descriptorOf(new Error(), 'stack')?.get,
  descriptorOf(ChannelError.prototype, 'disconnects')?.get
])

/**
 * Converts a value that an application's code threw, so that it can be read and logged several times. The value may be
 * anything. If its getters or proxy traps throw, even only at the second read, the process would end at the place that
 * reads it. So a value with getters or traps is read once, here, and the result is an object of the same class with the
 * values that were read.
 */
export function readable(thrown: unknown): unknown {
  if (Object(thrown) !== thrown) return thrown
  try {
    return isPlain(thrown as object) ? thrown : snapshotOf(thrown as object)
  } catch {
    return new Error('Something was thrown that cannot be read')
  }
}

/** True if reading the value runs no code of the application. */
function isPlain(thrown: object): boolean {
  if (hasProxy(thrown) || !isReadable(thrown, 'constructor')) return false
  const { constructor: itsClass } = thrown
  if (Object(itsClass) === itsClass && (hasProxy(itsClass) || !isReadable(itsClass, 'name'))) return false
  return MEMBERS.concat(enumerableNames(thrown)).every((name) => isReadable(thrown, name))
}

/** True if the value is a proxy, or inherits from one. */
function hasProxy(value: object): boolean {
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
  const snapshot = Object.create(prototype !== null && hasProxy(prototype) ? Error.prototype : prototype)
  const names = enumerableNames(thrown)
  for (const name of new Set([...MEMBERS, ...names])) {
    if (!(name in thrown)) continue
    const value: unknown = Reflect.get(thrown, name)
    Object.defineProperty(snapshot, name, { value, enumerable: names.includes(name) })
  }
  // Loggers write this name: if reading it throws, it must throw here.
  void snapshot.constructor?.name
  return snapshot
}

/** The names of enumerable members, including inherited ones, as loggers read them. */
function enumerableNames(value: object): string[] {
  const names: string[] = []
  for (const name in value) names.push(name)
  return names
}

/** Throws the error. The default for callbacks that report errors. */
export function rethrow(error: unknown): never {
  throw error
}

/** True if an operation failed because its client disconnected meanwhile. */
export function isDisconnectError(error: unknown): boolean {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown }
  return name === 'AbortError' || code === 'FST_RT_SOCKET_CLOSED'
}
