import type { FastifyInstance } from 'fastify'
import type { CompiledValidator } from '../input/validator.ts'

type Compilers = Pick<FastifyInstance, 'validatorCompiler' | 'serializerCompiler'>
type Serializer = (data: unknown) => string

/** The declaration to which the schemas belong, in the form that an application's compilers get. */
interface Declaration {
  readonly method: 'GET' | 'POST'
  /** The path of a route, the pattern of a channel, or the name of a method. */
  readonly url: string
}

/** Compiles the schemas of one route, channel or method with the application's own compilers. */
export class SchemaCompiler {
  readonly #compilers: Compilers
  readonly #declaration: Declaration
  readonly #refuse: (fix: string) => Error

  /**
   * @param compilers The scope of the declaration, after all plugins are loaded.
   * @param refuse Makes the error for a schema that does not compile. The compiler's own error becomes its cause.
   */
  constructor(compilers: Compilers, declaration: Declaration, refuse: (fix: string) => Error) {
    this.#compilers = compilers
    this.#declaration = declaration
    this.#refuse = refuse
  }

  /**
   * @param name The key of the schema, for the error.
   * @param httpPart The part of a request whose rules apply: a compiler may convert types in some parts only.
   */
  validator(name: string, schema: unknown, httpPart = name): CompiledValidator {
    const compiler = this.#compilers.validatorCompiler as (part: object) => unknown
    return this.#compile(name, () => compiler({ ...this.#declaration, schema, httpPart })) as CompiledValidator
  }

  serializer(name: string, schema: unknown): Serializer {
    const compiler = this.#compilers.serializerCompiler as (part: object) => unknown
    return this.#compile(name, () => compiler({ ...this.#declaration, schema, httpStatus: '200' })) as Serializer
  }

  #compile(name: string, compile: () => unknown): unknown {
    try {
      return compile()
    } catch (cause) {
      throw Object.assign(this.#refuse(`schema.${name} does not compile: ${(cause as Error).message}`), { cause })
    }
  }
}
