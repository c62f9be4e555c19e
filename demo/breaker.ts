import cluster from 'node:cluster'
import type { FastifyInstance } from 'fastify'
import type { RealtimeSocket } from 'fastify-realtime'
import { Peer } from './peer.ts'
import type { WorkerStep } from './progress.ts'

/** The actions of the page's panel "Break it". */
export type BreakAction = 'restart' | 'kill' | 'redis' | 'cut'

export interface BreakState {
  /** How many processes serve the demo besides the primary process; 0 if there is only one process. */
  readonly workers: number
  /** The action in progress, on request of any page. */
  readonly running: BreakAction | null
  /** Why the last action failed; null if it succeeded. */
  readonly failure: string | null
  /** The action in progress or the last one, worker by worker. */
  readonly progress: readonly WorkerStep[]
  /** For each action: null if it may be requested, otherwise a sentence with the reason. */
  readonly refusals: Readonly<Record<BreakAction, string | null>>
}

/** A worker's question to the primary process. */
export interface BreakQuestion {
  /** Undefined: only the state is requested. */
  readonly action?: BreakAction
  /** The page's own connection: `cut` cuts it, and `kill` kills its worker. */
  readonly connection?: string
  readonly user: string
}

export interface BreakAnswer {
  /** Undefined if the action is done or has begun, otherwise the reason why not. */
  readonly refusal: string | undefined
  readonly state: BreakState
}

/** The primary process asks its workers whether they have a user's connection. */
export interface FindQuestion {
  readonly connection: string
  readonly user: string
  /** Whether to cut it, too. */
  readonly cut: boolean
}

export interface FindAnswer {
  readonly found: boolean
}

export interface Breaker {
  /** Undefined if the primary process does not answer. */
  ask(question: BreakQuestion): Promise<BreakAnswer | undefined>
}

const NO_WORKERS = 'There are no workers: start the demo with "npm start -- --workers 3"'
const NO_REDIS = 'There is no Redis: start the demo with "npm start -- --workers 3"'
const ALONE: BreakState = {
  workers: 0,
  running: null,
  failure: null,
  progress: [],
  refusals: { restart: NO_WORKERS, kill: NO_WORKERS, redis: NO_REDIS, cut: null }
}

/** The sentence for a connection that no process has. */
export const NO_CONNECTION = 'There is no such connection'

/** Breaks what a serving process can break; a worker asks the primary process for the rest. */
export function createBreaker(app: FastifyInstance): Breaker {
  if (!cluster.isWorker) return { ask: async (question) => askAlone(app, question) }
  const primary = new Peer<BreakQuestion, BreakAnswer>(process, (question) => find(app, question as FindQuestion))
  return { ask: (question) => primary.ask(question) }
}

function askAlone(app: FastifyInstance, { action, connection = '', user }: BreakQuestion): BreakAnswer {
  const state = ALONE
  if (action === undefined) return { refusal: undefined, state }
  if (action !== 'cut') return { refusal: state.refusals[action] ?? undefined, state }
  const { found } = find(app, { connection, user, cut: true })
  return { refusal: found ? undefined : NO_CONNECTION, state }
}

/** Users may cut their own connections. They end as if a cable were pulled: without a close frame. */
function find(app: FastifyInstance, { connection, user, cut }: FindQuestion): FindAnswer {
  for (const socket of app.websocketServer.clients as Set<RealtimeSocket>) {
    if (socket.id !== connection || socket.user?.sub !== user) continue
    if (cut) socket.terminate()
    return { found: true }
  }
  return { found: false }
}
