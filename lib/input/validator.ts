/** A function that Fastify's validator compilers make: Ajv's kind (`errors` on the function) or `{ value, error }`. */
export interface CompiledValidator {
  (data: unknown): unknown
  errors?: readonly unknown[] | null
}

export type Validation = { readonly value: unknown } | { readonly issues: readonly unknown[] }

/** Runs a compiled validator of either kind, as Fastify does for bodies. */
export function runValidator(validator: CompiledValidator, data: unknown): Validation {
  const result = validator(data)
  if (result === false) return { issues: validator.errors ?? [] }
  if (typeof result !== 'object' || result === null) return { value: data }
  // Waiting for it would let later messages overtake this one; taking it for success would validate nothing.
  if ('then' in result) {
    // Nobody else waits for it, and a rejection that nobody handles would end the process.
    Promise.resolve(result).catch(() => undefined)
    throw new TypeError('Asynchronous schemas are not supported for messages')
  }
  if ('error' in result && result.error) return { issues: issuesOf(result.error) }
  return { value: 'value' in result ? result.value : data }
}

function issuesOf(error: unknown): readonly unknown[] {
  if (Array.isArray(error)) return error
  // Zod's errors hold their findings in `issues` or, as fastify-type-provider-zod makes them, in `validation`.
  const { issues, validation } = error as { issues?: unknown; validation?: unknown }
  for (const list of [validation, issues]) if (Array.isArray(list)) return list
  return [{ message: (error as Error).message }]
}
