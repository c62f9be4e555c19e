import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { FastifyInstance, RouteOptions } from 'fastify'
import router from 'find-my-way'
import { ROUTER_OPTIONS, rootOf, serverOptionsOf } from '../dependencies.ts'
import type { PathOwner } from '../handshake/gate.ts'

type Router = ReturnType<typeof router>
type Strategy = Parameters<Router['addConstraintStrategy']>[0]
type RouteConstraints = Readonly<Record<string, unknown>>

interface Declared {
  readonly url: string
  readonly constraints: RouteConstraints
  readonly isSocket: boolean
}

const OWN_CONSTRAINTS = new Set(['host', 'version'])

/**
 * Which upgrades belong to WebSocket routes of Fastify. It has to be known before Fastify runs any hook, and Fastify tells
 * nobody whose a path is. So this holds the GET routes of the scope once more, in a router of the same kind with the same
 * options.
 */
export class UpgradeRoutes {
  readonly #app: FastifyInstance
  readonly #options: ReturnType<typeof serverOptionsOf>
  readonly #declared: Declared[] = []
  readonly #strategies: Strategy[] = []
  #router: Router | undefined

  constructor(app: FastifyInstance) {
    this.#app = app
    this.#options = serverOptionsOf(app)
    const root = rootOf(app)
    const { addConstraintStrategy } = root
    // Scopes have the root for prototype, so this is theirs too.
    root.addConstraintStrategy = (strategy) => {
      this.#strategies.push(strategy as Strategy)
      return addConstraintStrategy.call(root, strategy)
    }
  }

  /** True if a WebSocket route was declared. */
  get any(): boolean {
    return this.#declared.some(({ isSocket }) => isSocket)
  }

  /** A route is declared: called for every one, since a plain route may hide a WebSocket route with parameters. */
  declared({ method, url, constraints = {} }: RouteOptions, isSocket: boolean): void {
    if (![method].flat().includes('GET')) return
    this.#declared.push({ url, constraints: constraints as RouteConstraints, isSocket })
  }

  /** No more routes come. */
  compile(): void {
    this.#router = this.#build()
  }

  /**
   * Calls back with the owner of a request's path, by Fastify's own rules.
   * @param url The path, if Fastify has rewritten it already.
   */
  find(request: IncomingMessage, done: (owner: PathOwner) => void, url = this.#rewritten(request)): void {
    const { headers } = request
    const asked = { method: 'GET', url, headers } as never
    const routes = this.#router as Router
    // Strategies of the application may answer later.
    routes.lookup(asked, undefined as never, (_error: Error | null, owner: unknown) => {
      done((owner as PathOwner | undefined) ?? (this.#hasRoute(url, headers) ? 'unknown route' : 'nobody'))
    })
  }

  /** True if Fastify has a route there that was declared before this package was registered, or outside of its scope. */
  #hasRoute(url: string, { host, 'accept-version': version }: IncomingHttpHeaders): boolean {
    return this.#app.findRoute({ method: 'GET', url, constraints: { host, version } } as never) !== null
  }

  #rewritten(request: IncomingMessage): string {
    const { rewriteUrl } = this.#options
    const url = rewriteUrl === undefined ? request.url : rewriteUrl.call(rootOf(this.#app), request)
    return typeof url === 'string' ? url : ''
  }

  #build(): Router {
    const { routerOptions } = this.#options
    const options = Object.fromEntries(ROUTER_OPTIONS.map((name) => [name, routerOptions[name]]))
    const strategies = { ...(routerOptions.constraints as Record<string, Strategy> | undefined) }
    for (const strategy of this.#strategies) strategies[strategy.name] = strategy
    const routes = router({ ...options, constraints: strategies, defaultRoute: () => undefined })
    const add = (url: string, constraints: RouteConstraints, isSocket: boolean) => {
      // One that was added before this package was registered is unknown here. Then the router decides without it.
      const known = Object.entries(constraints).filter(([name]) => name in strategies || OWN_CONSTRAINTS.has(name))
      const route = Object.fromEntries(known) as never
      if (!routes.hasRoute('GET', url, route))
        routes.on('GET', url, { constraints: route }, () => (isSocket ? 'ours' : 'plain') as never)
    }
    for (const { url, constraints, isSocket } of this.#declared) add(url, constraints, isSocket)
    for (const { url, constraints, isSocket } of this.#declared) {
      // Of the two routes that `/` makes in a scope with a prefix, Fastify tells of one.
      const twin = { method: 'GET', url: `${url}/`, constraints } as never
      if (!/[/*]$/.test(url) && this.#app.hasRoute(twin)) add(`${url}/`, constraints, isSocket)
    }
    return routes
  }
}
