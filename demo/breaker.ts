import cluster from 'node:cluster'
import type { FastifyInstance } from 'fastify'
import type { RealtimeSocket } from 'fastify-realtime'
import { Peer } from './peer.ts'

/** What the page's panel "Break it" can ask for. */
export type BreakAction = 'restart' | 'kill' | 'redis' | 'cut'

export interface BreakState {
  /** How many processes serve the demo beside the primary one; 0 where there is but one process. */
  readonly workers: number
  /** What is being done now, asked for by whomever. */
  readonly running: BreakAction | null
  /** Why what was done last did not end well; null where it did. */
  readonly failure: string | null
  /** Of each action null where it may be asked for, else a sentence that says why not. */
  readonly refusals: Readonly<Record<BreakAction, string | null>>
}

/** What a worker asks the primary process. */
export interface BreakQuestion {
  /** Undefined to only know the state. */
  readonly action?: BreakAction
  /** The page's own, which `cut` cuts and whose worker `kill` kills. */
  readonly connection?: string
  readonly user: string
}

export interface BreakAnswer {
  /** Undefined where it is done, or has begun; else why not. */
  readonly refusal: string | undefined
  readonly state: BreakState
}

/** What the primary process asks its workers: whether a user's connection is theirs. */
export interface FindQuestion {
  readonly connection: string
  readonly user: string
  /** Whether it is to be cut, too. */
  readonly cut: boolean
}

export interface FindAnswer {
  readonly found: boolean
}

export interface Breaker {
  /** Undefined where the primary process does not answer. */
  ask(question: BreakQuestion): Promise<BreakAnswer | undefined>
}

const NO_WORKERS = 'There are no workers: start the demo with "npm start -- --workers 3"'
const NO_REDIS = 'There is no Redis: start the demo with "npm start -- --workers 3"'
const ALONE: BreakState = {
  workers: 0,
  running: null,
  failure: null,
  refusals: { restart: NO_WORKERS, kill: NO_WORKERS, redis: NO_REDIS, cut: null }
}

/** The sentence for a connection that nobody has. */
export const NO_CONNECTION = 'There is no such connection'

/** Breaks what a process that serves the demo can; a worker leaves it to the primary process. */
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

/** A connection is its user's own to cut, and ends as if a cable were pulled: without a close frame. */
function find(app: FastifyInstance, { connection, user, cut }: FindQuestion): FindAnswer {
  for (const socket of app.websocketServer.clients as Set<RealtimeSocket>) {
    if (socket.id !== connection || socket.user?.sub !== user) continue
    if (cut) socket.terminate()
    return { found: true }
  }
  return { found: false }
}
