import { compareDecimals, isDecimal } from './decimal.ts'
import type { Tags } from './tags.ts'

/**
 * One node of a filter by tags, as the channel protocol defines it. A leaf has a `key` and a comparison. A node with an
 * `op` combines other nodes. A text or list that is not given counts as empty.
 */
export interface FilterNode {
  readonly op?: '' | 'and' | 'or' | 'not' | undefined
  readonly key?: string | undefined
  readonly cmp?: Comparison | undefined
  readonly val?: string | undefined
  readonly vals?: readonly string[] | undefined
  readonly nodes?: readonly FilterNode[] | undefined
}

/**
 * - `eq`, `neq`: equal to `val`, or not.
 * - `in`, `nin`: one of `vals`, or not.
 * - `ex`, `nex`: the tag exists, or not.
 * - `sw`, `ew`, `ct`: starts with, ends with, or contains `val`.
 * - `gt`, `gte`, `lt`, `lte`: compared as decimal numbers. False if the tag or `val` is not one.
 *
 * A tag that does not exist is equal to no value: `neq`, `nin` and `nex` are true. Only `in` and `nin` take it for an
 * empty text.
 */
type Comparison = 'eq' | 'neq' | 'in' | 'nin' | 'ex' | 'nex' | 'sw' | 'ew' | 'ct' | 'gt' | 'gte' | 'lt' | 'lte'

/** Whether a publication with these tags passes. A call allocates nothing. */
export type TagsFilter = (tags: Tags | undefined) => boolean

/** Bounds of one filter. `bytes` counts the UTF-8 of all its keys and values. */
export const MAX_FILTER = { depth: 8, nodes: 64, bytes: 4_096 } as const

/**
 * Compiles a filter of any origin. Throws a `TypeError` if it is not valid, or exceeds the bounds. The message contains
 * nothing of the filter.
 */
export function compileFilter(value: unknown): TagsFilter {
  return compileNode(value, { nodes: MAX_FILTER.nodes, bytes: MAX_FILTER.bytes }, MAX_FILTER.depth)
}

/** Whether `compileFilter` accepts a filter. */
export function isFilter(value: unknown): value is FilterNode {
  try {
    compileFilter(value)
    return true
  } catch {
    return false // it is not valid
  }
}

/** What passes both filters. */
export function bothFilters(first: TagsFilter | undefined, second: TagsFilter | undefined): TagsFilter | undefined {
  if (first === undefined || second === undefined) return first ?? second
  return (tags) => first(tags) && second(tags)
}

function fault(why: string): TypeError {
  return new TypeError(`The filter is not valid: ${why}`)
}

/** What the rest of a filter may still have. */
interface Budget {
  nodes: number
  bytes: number
}

function compileNode(value: unknown, budget: Budget, depth: number): TagsFilter {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fault('a node is no object')
  if (depth === 0 || --budget.nodes < 0) throw fault('it has too many nodes')
  const fields = value as Readonly<Record<string, unknown>>
  const op = text(fields.op, budget)
  if (op === '') return compileLeaf(fields, budget)
  const nodes = list(fields.nodes, budget.nodes).map((node) => compileNode(node, budget, depth - 1))
  const [first] = nodes
  if (first === undefined) throw fault('a node with an op has no nodes')
  if (op === 'and') return nodes.length === 1 ? first : (tags) => passesAll(nodes, tags)
  if (op === 'or') return nodes.length === 1 ? first : (tags) => passesOne(nodes, tags)
  if (op !== 'not') throw fault('op is not and, or, not')
  if (nodes.length > 1) throw fault('not has more than one node')
  return (tags) => !first(tags)
}

function passesAll(nodes: readonly TagsFilter[], tags: Tags | undefined): boolean {
  for (const node of nodes) if (!node(tags)) return false
  return true
}

function passesOne(nodes: readonly TagsFilter[], tags: Tags | undefined): boolean {
  for (const node of nodes) if (node(tags)) return true
  return false
}

const EXISTENCE: Readonly<Record<string, (key: string) => TagsFilter>> = {
  ex: (key) => (tags) => tags?.has(key) === true,
  nex: (key) => (tags) => tags?.has(key) !== true
}

const WITH_VALUES: Readonly<Record<string, (key: string, values: ReadonlySet<string>) => TagsFilter>> = {
  in: (key, values) => (tags) => values.has(tags?.get(key) ?? ''),
  nin: (key, values) => (tags) => !values.has(tags?.get(key) ?? '')
}

const WITH_VALUE: Readonly<Record<string, (key: string, value: string) => TagsFilter>> = {
  eq: (key, value) => (tags) => tags?.get(key) === value,
  neq: (key, value) => (tags) => tags?.get(key) !== value,
  sw: (key, value) => (tags) => tags?.get(key)?.startsWith(value) === true,
  ew: (key, value) => (tags) => tags?.get(key)?.endsWith(value) === true,
  ct: (key, value) => (tags) => tags?.get(key)?.includes(value) === true,
  gt: numeric((order) => order > 0),
  gte: numeric((order) => order >= 0),
  lt: numeric((order) => order < 0),
  lte: numeric((order) => order <= 0)
}

function numeric(passes: (order: number) => boolean): (key: string, value: string) => TagsFilter {
  return (key, value) => {
    if (!isDecimal(value)) return () => false
    return (tags) => {
      const given = tags?.get(key)
      return given !== undefined && isDecimal(given) && passes(compareDecimals(given, value))
    }
  }
}

function compileLeaf(fields: Readonly<Record<string, unknown>>, budget: Budget): TagsFilter {
  const cmp = text(fields.cmp, budget)
  const key = text(fields.key, budget)
  const val = text(fields.val, budget)
  const vals = list(fields.vals, budget.bytes).map((one) => text(one, budget))
  const existence = own(EXISTENCE, cmp)
  if (existence !== undefined) {
    if (val !== '' || vals.length > 0) throw fault('ex and nex take no val')
    return existence(key)
  }
  if (key === '') throw fault('a leaf has no key')
  const withValues = own(WITH_VALUES, cmp)
  if (withValues !== undefined) {
    if (val !== '' || vals.length === 0) throw fault('in and nin take vals')
    return withValues(key, new Set(vals))
  }
  const withValue = own(WITH_VALUE, cmp)
  if (withValue === undefined) throw fault('cmp is no comparison')
  if (val === '' || vals.length > 0) throw fault('the comparison takes val')
  return withValue(key, val)
}

function own<Value>(table: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

function text(value: unknown, budget: Budget): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw fault('op, key, cmp, val and vals are texts')
  budget.bytes -= value.length > budget.bytes ? value.length : Buffer.byteLength(value)
  if (budget.bytes < 0) throw fault('its texts are too long')
  return value
}

/** A list of at most so many elements. */
function list(value: unknown, most: number): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw fault('nodes and vals are lists')
  if (value.length > most) throw fault('it has too many nodes')
  return value
}
