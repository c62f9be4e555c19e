import type { FastifyRequest } from 'fastify'

/**
 * A request as the code that verifies a token sees it. @fastify/jwt assigns `request.user` before anything else is
 * checked, and an application's own verifier may do the same. So what is written to a view stays in the view until the
 * token is accepted: a hook must never see the user of a token that was refused. A proxy costs a tenth of what
 * `Object.create(request)` does, for which V8 rebuilds the request as a prototype.
 */
export class RequestView implements ProxyHandler<FastifyRequest> {
  /** Everything of the request, to hand to the verifier. */
  readonly request: FastifyRequest
  readonly #target: FastifyRequest
  readonly #written = new Map<PropertyKey, unknown>()

  /** @param token Stands in the view's `Authorization` header, which is where @fastify/jwt looks for it. */
  constructor(target: FastifyRequest, token?: string) {
    this.#target = target
    this.request = new Proxy(target, this)
    if (token !== undefined) {
      this.#written.set('headers', { ...target.headers, authorization: `Bearer ${token}` })
    }
  }

  get(target: FastifyRequest, key: PropertyKey): unknown {
    return this.#written.has(key) ? this.#written.get(key) : Reflect.get(target, key)
  }

  set(_target: FastifyRequest, key: PropertyKey, value: unknown): boolean {
    this.#written.set(key, value)
    return true
  }

  /**
   * The token is accepted: what was written goes to the request, for the hooks that come after.
   * @param user What the property of that name holds, unless the verifier itself has written it.
   */
  adopt(name: string, user: unknown): void {
    if (!this.#written.has(name)) this.#written.set(name, user)
    for (const [key, value] of this.#written) if (key !== 'headers') Reflect.set(this.#target, key, value)
  }
}
