import { type ConnectionInfo, readConnectionInfo } from './connection-info.ts'

/*
 * The question of one node to another about its connections, and the answer: one JSON object each.
 *
 *   { "v": 1, "id": …, "from": …, "after": …, "limit": … }            from: the node that asks
 *   { "v": 1, "id": …, "connections": [ … ], "more": … }               id: that of the question
 */

const VERSION = 1
const ID = /^[\w-]{1,64}$/

/** The maximum number of connections in one answer. */
export const MAX_CONNECTIONS = 1_000

export interface RosterQuestion {
  readonly id: string
  readonly from: string
  /** The answer holds connections whose ids come after this one. */
  readonly after: string
  readonly limit: number
}

export interface RosterAnswer {
  readonly connections: readonly ConnectionInfo[]
  /** The node has more connections. */
  readonly more: boolean
}

export type RosterMessage =
  | { readonly question: RosterQuestion }
  | { readonly id: string; readonly answer: RosterAnswer }

export function writeQuestion(question: RosterQuestion): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, ...question }))
}

/** @param connections JSON texts. */
export function writeAnswer(id: string, connections: readonly string[], more: boolean): Buffer {
  return Buffer.from(
    `{"v":${VERSION},"id":${JSON.stringify(id)},"connections":[${connections.join(',')}],"more":${more}}`
  )
}

/** Reads a message. Returns `undefined` if it is malformed or of another version. */
export function readRosterMessage(data: Buffer): RosterMessage | undefined {
  const { v, id, from, after, limit, connections, more } = parse(data)
  if (v !== VERSION || !isId(id)) return undefined
  if (Array.isArray(connections) && typeof more === 'boolean') {
    const read = connections.map(readConnectionInfo).filter((info) => info !== undefined)
    const isValid = read.length === connections.length && read.length <= MAX_CONNECTIONS
    // If the node has more connections, this answer must not be empty: the next question starts after the last of them.
    return isValid && !(more && read.length === 0) ? { id, answer: { connections: read, more } } : undefined
  }
  const isQuestion = isId(from) && (after === '' || isId(after)) && isLimit(limit)
  return isQuestion ? { question: { id, from, after, limit } } : undefined
}

function parse(data: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(data.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {} // it is not JSON: without a version, the caller rejects it
  }
}

export function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value)
}

function isLimit(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_CONNECTIONS
}
