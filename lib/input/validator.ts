/** A function made by Fastify's validator compilers: Ajv's kind (`errors` on the function) or `{ value, error }`. */
export interface CompiledValidator {
  (data: unknown): unknown
  errors?: readonly unknown[] | null
}

export type Validation = { readonly value: unknown } | { readonly issues: readonly unknown[] }

/** Runs a compiled validator of either kind, in the same way as Fastify does for bodies. */
export function runValidator(validator: CompiledValidator, data: unknown): Validation {
  const result = validator(data)
  if (result === false) return { issues: validator.errors ?? [] }
  if (typeof result !== 'object' || result === null) return { value: data }
  // The promise can't be awaited, or later messages would overtake this one. It can't count as success either, or
  // nothing would be validated.
  if ('then' in result) {
    // No other code handles its rejection, and an unhandled rejection would end the process.
    Promise.resolve(result).catch(() => undefined)
    throw new TypeError('Asynchronous schemas are not supported for messages')
  }
  if ('error' in result && result.error) return { issues: issuesOf(result.error) }
  return { value: 'value' in result ? result.value : data }
}

function issuesOf(error: unknown): readonly unknown[] {
  if (Array.isArray(error)) return error
  // Zod's errors have their issues in `issues`. Those of fastify-type-provider-zod have them in `validation`.
  const { issues, validation } = error as { issues?: unknown; validation?: unknown }
  for (const list of [validation, issues]) if (Array.isArray(list)) return list
  return [{ message: (error as Error).message }]
}
