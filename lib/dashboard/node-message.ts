import type { PackedSnapshots, Snapshot, TableAnswer } from './messages.ts'
import { parseQuery, type Query } from './query.ts'

/** The channel between nodes. A channel of an application cannot have a control character in its name. */
export const DASHBOARD_CHANNEL = '\u0000dashboard'

/** What nodes publish on it. `node` is the sender, and `sentAt` the time by its clock. */
export type NodeMessage =
  /** The sender has pages: the others send what they ask for, for some seconds. `past`: their last ten minutes too. */
  | { readonly kind: 'ask'; readonly node: string; readonly queries: readonly Query[]; readonly past: boolean }
  | { readonly kind: 'past'; readonly node: string; readonly sentAt: number; readonly samples: PackedSnapshots }
  | { readonly kind: 'now'; readonly node: string; readonly sentAt: number; readonly snapshot: Snapshot }
  | TableAnswer

const START = '{"kind":"'
const ASK = 'a'.charCodeAt(0)

/** A message with its kind at the front, where `isAsk` looks for it. */
export function writeMessage({ kind, ...rest }: NodeMessage): Buffer {
  return Buffer.from(JSON.stringify({ kind, ...rest }))
}

/** Whether a message asks for something. A node without pages parses no other message. */
export function isAsk(data: Buffer): boolean {
  return data[START.length] === ASK
}

/** Undefined if it is no message that this version knows. */
export function readMessage(data: Buffer): NodeMessage | undefined {
  let value: unknown
  try {
    value = JSON.parse(data.toString())
  } catch {
    return undefined
  }
  const { kind, node, sentAt, queries, past, samples, snapshot, rows } = (value ?? {}) as Record<string, unknown>
  if (typeof node !== 'string') return undefined
  if (kind === 'ask' && Array.isArray(queries)) {
    const known = queries.map(parseQuery).filter((query) => query !== undefined)
    return { kind, node, queries: known, past: past === true }
  }
  if (kind === 'table') return Array.isArray(rows) ? (value as TableAnswer) : undefined
  const isWhole = (kind === 'past' && Array.isArray(samples)) || (kind === 'now' && typeof snapshot === 'object')
  return isWhole && snapshot !== null && typeof sentAt === 'number' ? (value as NodeMessage) : undefined
}
