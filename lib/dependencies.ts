import type { FastifyInstance } from 'fastify'
import { DependencyError } from './errors.ts'

/** What Fastify keeps on an instance under a symbol, where it has no public way. */
export function internal<T>(instance: FastifyInstance, name: string, consequence: string): T {
  for (let at: object = instance; at !== null; at = Object.getPrototypeOf(at)) {
    const key = Object.getOwnPropertySymbols(at).find(({ description }) => description === name)
    if (key !== undefined) return (at as Record<symbol, T>)[key] as T
  }
  throw new DependencyError('fastify', consequence)
}

/** The instance that all scopes descend from: a child has its parent for prototype. */
export function rootOf(app: FastifyInstance): FastifyInstance {
  let root = app
  for (let at = app; 'register' in at; at = Object.getPrototypeOf(at)) root = at
  return root
}
