import cluster from 'node:cluster'
import { hostname } from 'node:os'
import type { RouteShorthandOptions } from 'fastify'
import { InvalidOptionError } from '../errors.ts'

/** The options of the dashboard. */
export interface DashboardOptions {
  /** The path of the page. Fastify's own option of `register`. */
  readonly prefix?: string | undefined
  /**
   * A secret of 16 to 256 printable characters without spaces. The page asks for it, or takes it from the fragment of its
   * address: `/dashboard#key=…`. Everything but the page's own files requires it.
   */
  readonly key?: string | undefined
  /** Your hook, or hooks, for all requests of the dashboard, like the option of a Fastify route. */
  readonly onRequest?: RouteShorthandOptions['onRequest'] | undefined
  /** The name of this node on the page, at most 64 characters. @default the host name, or `worker <n>` in a cluster */
  readonly name?: string | undefined
}

type Hook = Exclude<NonNullable<DashboardOptions['onRequest']>, readonly unknown[]>

export interface ResolvedDashboardOptions {
  readonly key: string | undefined
  readonly hooks: readonly Hook[]
  readonly name: string
}

const KEY = /^[\x21-\x7e]{16,256}$/
const MAX_NAME = 64

export function resolveDashboardOptions({ key, onRequest, name }: DashboardOptions): ResolvedDashboardOptions {
  if (key !== undefined && (typeof key !== 'string' || !KEY.test(key))) {
    throw new InvalidOptionError(
      'key',
      'give 16 to 256 printable characters without spaces, and let chance choose them'
    )
  }
  const hooks = onRequest === undefined ? [] : [onRequest].flat()
  if (hooks.some((hook) => typeof hook !== 'function')) {
    throw new InvalidOptionError('onRequest', 'give a function, or an array of functions')
  }
  if (name !== undefined && (typeof name !== 'string' || name === '' || name.length > MAX_NAME)) {
    throw new InvalidOptionError('name', `give 1 to ${MAX_NAME} characters`)
  }
  const worker = cluster.isWorker ? `worker ${cluster.worker?.id}` : undefined
  return { key, hooks: hooks as Hook[], name: name ?? worker ?? hostname() }
}
