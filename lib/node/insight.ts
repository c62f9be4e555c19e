import type { FastifyInstance } from 'fastify'
import type { HistoryPolicy } from '../broker/broker.ts'
import type { Node } from './node.ts'

/** What other parts of this package may see of a registration, and its application may not. */
export interface Insight {
  readonly node: Node
  readonly kind: 'memory' | 'redis'
  /** The history of a declared channel. Undefined if it has none, or is not declared. */
  historyOf(channel: string): HistoryPolicy | undefined
  /**
   * Whether hooks guard a scope: hooks that it, or a scope around it, has added for requests. The hooks of the scope
   * in which this package is registered do not count. Most of them set headers or read cookies.
   */
  isGuarded(scope: FastifyInstance): boolean
}

const insights = new WeakMap<object, Insight>()

/** @param realtime The registration, as `app.realtime`. */
export function shareInsight(realtime: object, insight: Insight): void {
  insights.set(realtime, insight)
}

/** Undefined if `realtime` is not the `app.realtime` of this package. */
export function insightOf(realtime: object | undefined): Insight | undefined {
  return realtime && insights.get(realtime)
}
