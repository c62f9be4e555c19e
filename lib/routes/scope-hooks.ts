import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { scopesFrom } from '../dependencies.ts'
import { ChannelError, ERROR } from '../protocol/channel-errors.ts'
import type { ScopeGuard } from '../session/definition.ts'
import { guardReplies, isOver, statusOf } from './guard-reply.ts'

/*
 * The hooks of a scope, for the channels and methods that it declares. Fastify runs hooks for requests, and a command of
 * the channel protocol is none: without this, a scope that lets nobody in but administrators would guard its routes and
 * leave its channels open.
 */

/** Hooks that decide whether a request goes on, in the order in which Fastify runs them. */
const PHASES = ['onRequest', 'preValidation', 'preHandler'] as const
type Phase = (typeof PHASES)[number]
type Hook = (
  this: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: unknown) => void
) => unknown

/** What a hook's status means in the channel protocol, where it is not that the client may not do it. */
const ERRORS: Readonly<Record<number, number>> = {
  400: ERROR.badRequest.code,
  404: ERROR.notAvailable.code,
  429: ERROR.tooManyRequests.code
}
const FIRST_OF_CLIENTS = 400
const LAST_OF_CLIENTS = 499

/** Notes which hooks scopes add, so that they can be run for more than requests. */
export class ScopeHooks {
  readonly #root: FastifyInstance
  readonly #hooks = new WeakMap<object, Record<Phase, Hook[]>>()

  /** @param root The instance whose scopes are meant; its own hooks run at the handshake. */
  constructor(root: FastifyInstance) {
    this.#root = root
    const addHook = root.addHook as (name: string, hook: Hook) => FastifyInstance
    const note = (scope: FastifyInstance, name: string, hook: Hook) => this.#note(scope, name, hook)
    // Scopes have the root for prototype, so this is theirs too.
    root.addHook = function (this: FastifyInstance, name: string, hook: Hook) {
      const instance = addHook.call(this, name, hook)
      note(this, name, hook)
      return instance
    } as FastifyInstance['addHook']
  }

  #note(scope: FastifyInstance, name: string, hook: Hook): void {
    if (scope === this.#root || !PHASES.includes(name as Phase)) return
    const hooks = this.#hooks.get(scope) ?? { onRequest: [], preValidation: [], preHandler: [] }
    this.#hooks.set(scope, hooks)
    hooks[name as Phase].push(hook)
  }

  /** What a scope's hooks, and those of the scopes around it, decide; undefined where there are none. */
  guardOf(scope: FastifyInstance): ScopeGuard | undefined {
    const around = scopesFrom(scope)
    const scopes = around.slice(0, around.indexOf(this.#root)).reverse()
    const hooks = PHASES.flatMap((phase) => scopes.flatMap((one) => this.#hooks.get(one)?.[phase] ?? []))
    if (hooks.length === 0) return undefined
    const makeReply = guardReplies(scope)
    return async (request) => {
      const reply = makeReply(request)
      // Where a hook replies and never comes back.
      const over = new Promise<void>((resolve) => reply.raw.once('close', resolve))
      for (const hook of hooks) {
        try {
          await Promise.race([run(scope, hook, request, reply), over])
        } catch (error) {
          // Once it has replied, what it throws is of no use to the client.
          if (!isOver(reply)) throw refusal(statusOf(reply, error), error)
        }
        if (isOver(reply)) throw new ChannelError(codeOf(reply.statusCode))
      }
    }
  }
}

function run(scope: FastifyInstance, hook: Hook, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const done = (error?: unknown) => (error ? reject(error) : resolve())
    const returned = hook.call(scope, request, reply, done)
    // Fastify takes a hook for asynchronous where it returns what can be waited for, and waits for `done` otherwise.
    if (isThenable(returned)) returned.then(() => resolve(), reject)
  })
}

function isThenable(returned: unknown): returned is PromiseLike<unknown> {
  return typeof (returned as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

/** A hook's error with a client's status is a refusal; any other is unforeseen, and is logged. */
function refusal(status: number, error: unknown): unknown {
  const isRefusal = status >= FIRST_OF_CLIENTS && status <= LAST_OF_CLIENTS
  return isRefusal && !(error instanceof ChannelError)
    ? new ChannelError(codeOf(status), undefined, { cause: error })
    : error
}

/** What a status means in the channel protocol: where nothing more exact does, the client may not do it. */
function codeOf(status: number): number {
  return ERRORS[status] ?? ERROR.permissionDenied.code
}
