import type { FastifyInstance } from 'fastify'
import { InvalidMethodError } from '../errors.ts'
import type { CallContext } from '../options/hooks.ts'
import type { MethodDefinition } from '../session/definition.ts'
import { withPrefix } from './channel-routes.ts'
import { SchemaCompiler } from './schema-compiler.ts'
import type { ScopeHooks } from './scope-hooks.ts'

/** The schemas of a method. The application's own compilers compile them when the application starts. */
export interface MethodSchema {
  /** The data of a call. If the data does not match, the answer is the error 107. */
  data?: unknown
  /** The answer of the method. It is written with the application's serializer compiler. */
  response?: unknown
}

export interface MethodOptions {
  schema?: MethodSchema | undefined
}

export type MethodHandler = (this: FastifyInstance, context: CallContext) => unknown

const SCHEMAS = ['data', 'response']

/** The methods that an application has declared. */
export class RpcRoutes {
  readonly #methods = new Map<string, MethodDefinition>()
  #uncompiled: ((hooks: ScopeHooks) => void)[] = []
  #compiled = false

  /** Throws `FST_RT_INVALID_METHOD`. */
  add(method: string, options: MethodOptions, handler: MethodHandler, app: FastifyInstance): void {
    const fault = (fix: string) => new InvalidMethodError(String(method), fix)
    const fail = (fix: string): never => {
      throw fault(fix)
    }
    if (this.#compiled) fail('declare it before the application is ready')
    if (typeof method !== 'string' || method === '') fail('name it')
    if (typeof handler !== 'function') fail('give a handler, as the last argument')
    if (typeof options !== 'object' || options === null) fail('give the options as an object')
    for (const name of Object.keys(options)) {
      if (name !== 'schema') fail(`there is no option ${name}; schema is`)
    }
    const { schema = {} } = options
    if (typeof schema !== 'object' || schema === null) fail('make schema an object')
    if (this.#methods.has(method)) fail('it is declared already')
    for (const name of Object.keys(schema)) {
      if (!SCHEMAS.includes(name)) fail(`unknown schema.${name}; use one of ${SCHEMAS.join(', ')}`)
    }
    const definition: MethodDefinition = { handler: handler.bind(app) }
    this.#methods.set(method, definition)
    this.#uncompiled.push((hooks) => {
      definition.guard = hooks.guardOf(app)
      const compiler = new SchemaCompiler(app, { method: 'POST', url: method }, fault)
      const { data, response } = schema
      if (data !== undefined) definition.validator = compiler.validator('data', data, 'body')
      if (response !== undefined) definition.serializer = compiler.serializer('response', response)
    })
  }

  /** Compiles the schemas and collects the hooks of the scopes, after all plugins are loaded. */
  compile(hooks: ScopeHooks): void {
    this.#compiled = true
    for (const compileNext of this.#uncompiled.splice(0)) compileNext(hooks)
  }

  find(method: string): MethodDefinition | undefined {
    return this.#methods.get(method)
  }
}

/** Makes the decorator `app.rpc`. It calls `declared` for each declared method. */
export function rpcDecorator(routes: RpcRoutes, declared: () => void) {
  return function rpc(
    this: FastifyInstance,
    method: string,
    ...rest: [MethodHandler] | [MethodOptions, MethodHandler]
  ): FastifyInstance {
    const [options, handler] =
      rest.length < 2 ? [{}, rest[0] as MethodHandler] : (rest as [MethodOptions, MethodHandler])
    const name = typeof method === 'string' && method !== '' ? withPrefix(this, method) : method
    routes.add(name, options, handler, this)
    declared()
    return this
  }
}
