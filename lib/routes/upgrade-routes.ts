import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { FastifyInstance, RouteOptions } from 'fastify'
import router from 'find-my-way'
import { ROUTER_OPTIONS, rootOf, serverOptionsOf } from '../dependencies.ts'
import type { PathOwner } from '../handshake/gate.ts'

type Router = ReturnType<typeof router>
type Strategy = Parameters<Router['addConstraintStrategy']>[0]
/** The owner of the path of a declared route. */
export type DeclaredOwner = Extract<PathOwner, 'ours' | 'stream' | 'plain'>
type RouteConstraints = Readonly<Record<string, unknown>>

interface Declared {
  readonly url: string
  readonly constraints: RouteConstraints
  readonly owner: DeclaredOwner
}

const OWN_CONSTRAINTS = new Set(['host', 'version'])
// A pattern without parameters, and without characters that the router decodes or takes for the end of the path.
const PLAIN_PATTERN = /^\/[\w\-./~]*$/

/**
 * Finds out whether an upgrade is for a WebSocket route. This must be known before Fastify runs any hook, and Fastify
 * has no function for it. So this class adds the GET routes of the scope to a second router of the same kind, with the
 * same options.
 */
export class UpgradeRoutes {
  readonly #app: FastifyInstance
  readonly #options: ReturnType<typeof serverOptionsOf>
  readonly #declared: Declared[] = []
  readonly #strategies: Strategy[] = []
  /** The last segments of the patterns of streaming routes, in lower case. */
  readonly #streamNames: string[] = []
  /** The patterns of streaming routes, as `looseForm` gives them. */
  readonly #streamForms = new Set<string>()
  #router: Router | undefined
  /** The owners of paths for which the router can have no other answer. Most requests are for one of them. */
  readonly #plainPaths = new Map<string, PathOwner>()

  constructor(app: FastifyInstance) {
    this.#app = app
    this.#options = serverOptionsOf(app)
    const root = rootOf(app)
    const { addConstraintStrategy } = root
    // The root is the prototype of the scopes, so they have this method too.
    root.addConstraintStrategy = (strategy) => {
      this.#strategies.push(strategy as Strategy)
      return addConstraintStrategy.call(root, strategy)
    }
  }

  /** True if a WebSocket route was declared. */
  get any(): boolean {
    return this.#declared.some(({ owner }) => owner === 'ours')
  }

  /** Called for every declared route: a plain route may have precedence over a WebSocket route with parameters. */
  declared({ method, url, constraints = {} }: RouteOptions, owner: DeclaredOwner): void {
    if (owner !== 'stream' && ![method].flat().includes('GET')) return
    this.#declared.push({ url, constraints: constraints as RouteConstraints, owner })
    if (owner !== 'stream') return
    this.#streamNames.push(url.slice(url.lastIndexOf('/') + 1).toLowerCase())
    this.#streamForms.add(looseForm(url))
  }

  /** Called when all routes are declared. */
  compile(): void {
    this.#router = this.#build()
    // If one route has constraints, a request that meets them may not match the routes without constraints.
    if (this.#declared.some(({ constraints }) => Object.keys(constraints).length > 0)) return
    for (const { url, owner } of this.#declared) {
      if (PLAIN_PATTERN.test(url) && !this.#plainPaths.has(url)) this.#plainPaths.set(url, owner)
    }
  }

  /**
   * Calls back with the owner of a request's path, according to Fastify's rules.
   * @param url The path, if Fastify has already rewritten it.
   */
  find(request: IncomingMessage, done: (owner: PathOwner) => void, url = this.#rewritten(request)): void {
    const query = url.indexOf('?')
    const known = this.#plainPaths.get(query === -1 ? url : url.slice(0, query))
    if (known !== undefined) {
      done(known)
      return
    }
    const { headers } = request
    const target = { method: 'GET', url, headers } as never
    const routes = this.#router as Router
    // With a callback, because a constraint strategy of the application may be asynchronous.
    routes.lookup(target, undefined as never, (_error: Error | null, owner: unknown) => {
      done((owner as PathOwner | undefined) ?? (this.#hasRoute(url, headers) ? 'unknown route' : 'nobody'))
    })
  }

  /**
   * True if the path of a request may be an HTTP endpoint of the channel protocol. If a constraint of the application
   * answers later, or `rewriteUrl` throws, this is not known, and the answer is true: the caller hides credentials.
   */
  isStream(request: IncomingMessage): boolean {
    if (this.#streamNames.length === 0 || !this.#mayBeStream(request.url as string)) return false
    let owner: unknown
    try {
      const url = this.#rewritten(request)
      const query = url.indexOf('?')
      owner = this.#plainPaths.get(query === -1 ? url : url.slice(0, query))
      if (owner !== undefined) return owner === 'stream'
      const target = { method: 'GET', url, headers: request.headers } as never
      const routes = this.#router as Router
      routes.lookup(target, undefined as never, (_error: Error | null, found: unknown) => {
        // A client whose URL is slightly wrong sends its credentials too, and Fastify logs the path that it does not find.
        owner = found ?? (this.#streamForms.has(looseForm(url)) ? 'stream' : 'nobody')
      })
    } catch {
      return true // Fastify meets the same error, and answers it
    }
    return owner === undefined || owner === 'stream'
  }

  /** Most requests have another name at the end of their path. */
  #mayBeStream(url: string): boolean {
    if (this.#options.rewriteUrl !== undefined || url.includes('%')) return true
    const lower = url.toLowerCase()
    return this.#streamNames.some((name) => /[:*]/.test(name) || lower.includes(name))
  }

  /** True if Fastify has a route that was declared before this package was registered, or outside of its scope. */
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
    const add = (url: string, constraints: RouteConstraints, owner: DeclaredOwner) => {
      // If a strategy was added before this package was registered, it is unknown here, and the router ignores it.
      const known = Object.entries(constraints).filter(([name]) => name in strategies || OWN_CONSTRAINTS.has(name))
      const route = Object.fromEntries(known) as never
      if (!routes.hasRoute('GET', url, route)) routes.on('GET', url, { constraints: route }, () => owner as never)
    }
    for (const { url, constraints, owner } of this.#declared) add(url, constraints, owner)
    for (const { url, constraints, owner } of this.#declared) {
      // In a scope with a prefix, `/` makes two routes, but Fastify calls `onRoute` for only one of them.
      const withSlash = { method: 'GET', url: `${url}/`, constraints } as never
      if (!/[/*]$/.test(url) && this.#app.hasRoute(withSlash)) add(`${url}/`, constraints, owner)
    }
    return routes
  }
}

/** The path of a URL, without differences in case and slashes. */
function looseForm(url: string): string {
  const path = url.slice(0, /[?;#]|$/.exec(url)?.index)
  return path
    .replace(/\/{2,}/g, '/')
    .replace(/\/$/, '')
    .toLowerCase()
}
