import type { FastifyRequest } from 'fastify'

/**
 * A view of a request, for the code that verifies a token. @fastify/jwt sets `request.user` before all checks are done,
 * and an application's verifier may do the same. So properties that are set on the view stay in the view until the
 * token is accepted: a hook must never see the user of a refused token. A proxy costs a tenth of
 * `Object.create(request)`, for which V8 rebuilds the request as a prototype.
 */
export class RequestView implements ProxyHandler<FastifyRequest> {
  /** The view, which is passed to the verifier. */
  readonly request: FastifyRequest
  readonly #target: FastifyRequest
  readonly #written = new Map<PropertyKey, unknown>()

  /** @param token The view's `Authorization` header contains it, because @fastify/jwt reads it from there. */
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
   * Called when the token is accepted: sets the properties of the view on the request, for later hooks.
   * @param user The value of the property `name`, unless the verifier has set it.
   */
  adopt(name: string, user: unknown): void {
    if (!this.#written.has(name)) this.#written.set(name, user)
    for (const [key, value] of this.#written) if (key !== 'headers') Reflect.set(this.#target, key, value)
  }
}
