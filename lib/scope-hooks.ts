import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ScopeGuard } from './channels/definition.ts'
import { ChannelError, ERROR } from './protocol/channel-errors.ts'

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

/** What a hook's status means in the channel protocol. */
const ERRORS: Readonly<Record<number, number>> = {
  400: ERROR.badRequest.code,
  401: ERROR.permissionDenied.code,
  403: ERROR.permissionDenied.code,
  404: ERROR.notAvailable.code,
  429: ERROR.tooManyRequests.code
}

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
    const scopes: FastifyInstance[] = []
    for (let at = scope; at !== this.#root; at = Object.getPrototypeOf(at)) scopes.unshift(at)
    const hooks = PHASES.flatMap((phase) => scopes.flatMap((one) => this.#hooks.get(one)?.[phase] ?? []))
    if (hooks.length === 0) return undefined
    return async (request) => {
      for (const hook of hooks) await run(scope, hook, request)
    }
  }
}

async function run(scope: FastifyInstance, hook: Hook, request: FastifyRequest): Promise<void> {
  let refused: GuardReply | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      const reply = new GuardReply(scope, () => {
        refused = reply
        resolve()
      })
      const done = (error?: unknown) => (error ? reject(error) : resolve())
      const returned = hook.call(scope, request, reply as unknown as FastifyReply, done)
      // Fastify takes a hook for asynchronous where it returns a promise, and waits for `done` otherwise.
      if (returned instanceof Promise) returned.then(() => resolve(), reject)
    })
  } catch (error) {
    throw refusal(error)
  }
  if (refused !== undefined) throw new ChannelError(ERRORS[refused.statusCode] ?? ERROR.permissionDenied.code)
}

/** A hook's error with a status is a refusal; any other is unforeseen, and is logged. */
function refusal(error: unknown): unknown {
  const { statusCode } = (error ?? {}) as { statusCode?: unknown }
  const code = typeof statusCode === 'number' ? ERRORS[statusCode] : undefined
  return code === undefined || error instanceof ChannelError
    ? error
    : new ChannelError(code, undefined, { cause: error })
}

/** The reply that a hook gets where there is no request to reply to: to send one is to refuse. */
class GuardReply {
  readonly server: FastifyInstance
  statusCode = 200
  sent = false
  readonly #onSent: () => void

  constructor(server: FastifyInstance, onSent: () => void) {
    this.server = server
    this.#onSent = onSent
  }

  code(statusCode: number): this {
    this.statusCode = statusCode
    return this
  }

  status(statusCode: number): this {
    return this.code(statusCode)
  }

  header(): this {
    return this
  }

  headers(): this {
    return this
  }

  type(): this {
    return this
  }

  send(payload?: unknown): this {
    if (payload instanceof Error) this.statusCode = (payload as { statusCode?: number }).statusCode ?? 500
    this.sent = true
    this.#onSent()
    return this
  }

  redirect(): this {
    return this.code(302).send()
  }
}
