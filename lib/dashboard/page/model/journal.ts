import type { Snapshot } from '../../messages.ts'
import { connectionsOf, type KnownNode, type NodeState } from './cluster.ts'
import { count } from './format.ts'

export type Tone = 'good' | 'warn' | 'bad' | 'plain'

export interface Entry {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly text: string
  readonly tone: Tone
}

// Milliseconds. A ring whose first snapshot is younger begins with its process.
const WHOLE = 590_000

/** What the snapshots of a node's last ten minutes show. */
export function entriesOf(snapshots: readonly Snapshot[], now: number): Entry[] {
  const entries: Entry[] = []
  const [first] = snapshots
  if (first !== undefined && now - first.at < WHOLE) {
    entries.push({ at: first.at, text: `${first.name} started`, tone: 'plain' })
  }
  for (const [place, { name, at, brokerUp, broker, draining }] of snapshots.entries()) {
    const before = snapshots[place - 1]
    if (brokerUp !== (before?.brokerUp ?? true)) {
      entries.push(
        brokerUp
          ? { at: broker.since, text: `Redis is back for ${name}`, tone: 'good' }
          : { at: broker.since, text: `Redis is away for ${name}`, tone: 'bad' }
      )
    }
    if (draining && before?.draining === false) entries.push({ at, text: `${name} began to drain`, tone: 'warn' })
  }
  return entries
}

/** The entry for a node whose state has changed. Undefined if the change is no news. */
export function entryOf(
  { label, latest }: KnownNode,
  before: NodeState | undefined,
  state: NodeState,
  now: number
): Entry | undefined {
  const entry = (text: string, tone: Tone): Entry => ({ at: now, text, tone })
  if (state === 'draining') return entry(`${label} drains, ${count(connectionsOf(latest))} to go`, 'warn')
  if (state === 'up' && before === undefined) return entry(`${label} is up`, 'plain')
  if (state === 'up' && before === 'gone') return entry(`${label} is there again`, 'good')
  // A node that had gone before this page came is no news.
  if (state !== 'gone' || before === undefined) return undefined
  if (!latest.last) return entry(`${label} is gone`, 'bad')
  const { closed = 0, terminated = 0 } = latest.drained
  const tone = terminated > 0 ? 'bad' : 'good'
  return entry(`${label} has drained: ${count(closed)} closed, ${count(terminated)} cut`, tone)
}
