import { randomBytes } from 'node:crypto'

const MIN_LENGTH = 32

/** The secret in this variable of the environment. Only outside of production it may be missing: then it is random. */
export function readSecret(name: string): string {
  const value = process.env[name]
  if (value !== undefined && value.length >= MIN_LENGTH) return value
  if (value === undefined && process.env.NODE_ENV !== 'production') return randomBytes(MIN_LENGTH).toString('hex')
  throw new Error(`Set ${name} to a secret of at least ${MIN_LENGTH} characters`)
}
