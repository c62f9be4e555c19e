import { type IncomingMessage, ServerResponse } from 'node:http'
import { Readable, Writable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { replyClassOf, scopesFrom } from '../dependencies.ts'
import { isPromise } from '../input/eventual.ts'
import { ChannelError, ERROR } from '../protocol/channel-errors.ts'
import type { ScopeGuard } from '../session/definition.ts'

/*
 * Runs the hooks of a scope for the channels and methods that the scope declares. Fastify runs hooks only for requests,
 * and a command of the channel protocol is not a request. Without this file, a scope that admits only administrators
 * would protect its routes, but not its channels.
 */

/** The hooks that decide whether a request continues, in the order in which Fastify runs them. */
const PHASES = ['onRequest', 'preValidation', 'preHandler'] as const
type Phase = (typeof PHASES)[number]
type Hook = (
  this: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: unknown) => void
) => unknown

/** The code of the channel protocol for the status that a hook sets. Any other status is "permission denied". */
const ERRORS: Readonly<Record<number, number>> = {
  400: ERROR.badRequest.code,
  404: ERROR.notAvailable.code,
  429: ERROR.tooManyRequests.code
}
const FIRST_ERROR = 400
const LAST_OF_CLIENTS = 499
const LAST_ERROR = 599
const UNEXPECTED = 500

/** Records the hooks that scopes add, and runs them for commands. */
export class ScopeHooks {
  readonly #root: FastifyInstance
  readonly #hooks = new WeakMap<object, Record<Phase, Hook[]>>()

  /** @param root The instance in which this package is registered. Its own hooks run only at the handshake. */
  constructor(root: FastifyInstance) {
    this.#root = root
    const addHook = root.addHook as (name: string, hook: Hook) => FastifyInstance
    const note = (scope: FastifyInstance, name: string, hook: Hook) => this.#recordHook(scope, name, hook)
    // The root is the prototype of the scopes, so they have this method too.
    root.addHook = function (this: FastifyInstance, name: string, hook: Hook) {
      const instance = addHook.call(this, name, hook)
      note(this, name, hook)
      return instance
    } as FastifyInstance['addHook']
  }

  #recordHook(scope: FastifyInstance, name: string, hook: Hook): void {
    if (scope === this.#root || !PHASES.includes(name as Phase)) return
    const hooks = this.#hooks.get(scope) ?? { onRequest: [], preValidation: [], preHandler: [] }
    this.#hooks.set(scope, hooks)
    hooks[name as Phase].push(hook)
  }

  /**
   * Makes the guard of a scope. It runs the hooks of the scope and of the scopes around it, and rejects if a hook
   * refuses. Returns undefined if there are no hooks.
   */
  guardOf(scope: FastifyInstance): ScopeGuard | undefined {
    const around = scopesFrom(scope)
    const scopes = around.slice(0, around.indexOf(this.#root)).reverse()
    const hooks = PHASES.flatMap((phase) => scopes.flatMap((one) => this.#hooks.get(one)?.[phase] ?? []))
    if (hooks.length === 0) return undefined
    const makeReply = replyMaker(scope)
    return async (request) => {
      const reply = makeReply(request)
      // A hook may reply and never settle.
      const over = new Promise<void>((resolve) => reply.raw.once('close', resolve))
      for (const hook of hooks) {
        try {
          await Promise.race([run(scope, hook, request, reply), over])
        } catch (error) {
          // After the hook has replied, its error is ignored.
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
    // Like Fastify: a hook that returns a promise is asynchronous, and any other hook calls `done`.
    if (isPromise(returned)) returned.then(() => resolve(), reject)
  })
}

/** An error of a hook with a status 4xx is a refusal. Any other error is unexpected, and is logged. */
function refusal(status: number, error: unknown): unknown {
  const isRefusal = status >= FIRST_ERROR && status <= LAST_OF_CLIENTS
  return isRefusal && !(error instanceof ChannelError)
    ? new ChannelError(codeOf(status), undefined, { cause: error })
    : error
}

function codeOf(status: number): number {
  return ERRORS[status] ?? ERROR.permissionDenied.code
}

/**
 * Makes the replies that hooks get for a command. They are replies of the scope, with all its decorators, but their
 * response is not sent to any client. If a hook sends a reply, it refuses the command.
 */
function replyMaker(scope: FastifyInstance): (request: FastifyRequest) => FastifyReply {
  const Reply = replyClassOf(scope)
  return (request) => {
    const reply = new Reply(discardedResponse(request.raw), request, request.log)
    const send = (payload?: unknown) => {
      if (payload instanceof Error) reply.code(statusOf(reply, payload))
      // Nothing reads the stream. It must be destroyed to close the resources that it has opened.
      if (payload instanceof Readable) payload.destroy()
      reply.raw.end()
      return reply
    }
    // Fastify's own `send` would run the hooks and the error handler of the endpoint, which is in another scope.
    return Object.defineProperties(reply, {
      server: { value: scope },
      send: { value: send },
      callNotFound: { value: () => reply.code(404).send() }
    })
  }
}

/** True once a hook has replied, or has taken over the response. No other hook runs then. */
function isOver(reply: FastifyReply): boolean {
  return reply.sent || reply.raw.destroyed
}

/** The status that Fastify would use for an error: that of the reply if it was set, or otherwise that of the error. */
function statusOf(reply: FastifyReply, error: unknown): number {
  if (reply.statusCode !== 200) return reply.statusCode
  const { statusCode, status } = (error ?? {}) as { statusCode?: unknown; status?: unknown }
  return [statusCode, status].find(isErrorStatus) ?? UNEXPECTED
}

function isErrorStatus(status: unknown): status is number {
  return typeof status === 'number' && status >= FIRST_ERROR && status <= LAST_ERROR
}

/** A response that can be written and ended like any other response, and then closes. */
function discardedResponse(request: IncomingMessage): ServerResponse {
  const raw = new ServerResponse(request)
  const sink = new Writable({ write: (_chunk, _encoding, written) => written() })
  raw.assignSocket(sink as never)
  return raw.once('finish', () => raw.destroy())
}
