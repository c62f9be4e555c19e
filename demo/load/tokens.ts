import { testToken } from 'fastify-realtime/testing'
import type { LoadOptions } from './command/options.ts'

/** The source of a run's tokens, in words, and the token of each connection. */
export interface Tokens {
  /** For people: `a token signed for each of 100 users`. */
  readonly source: string
  /** Undefined: connect without one. */
  of(connection: number): string | undefined
}

// They outlive the run, with the time before and after it.
const EXTRA_TIME = 3_600_000
// The demo gives out a thousand a minute to one address, and some must be left for others.
const MOST_FETCHED = 100
const FETCHING_AT_ONCE = 10
const FETCH_TIMEOUT = 5_000

type Choice = Pick<LoadOptions, 'token' | 'tokenSecret' | 'users' | 'claims' | 'ramp' | 'duration'>

/**
 * The given token, or tokens signed with the given secret, or tokens from the server's own route, as the demo has it;
 * otherwise none.
 */
export async function provideTokens(options: Choice, run: string, origin: string): Promise<Tokens> {
  const { token, tokenSecret, users } = options
  if (token !== undefined) return { source: 'the given token', of: () => token }
  if (tokenSecret !== undefined) {
    const sign = signer(options, tokenSecret, run)
    const of = (connection: number) => sign(connection % users)
    return { source: `tokens signed for ${users} users`, of }
  }
  const fetched = await fetchTokens(`${origin}/api/token`, Math.min(users, MOST_FETCHED), run)
  if (fetched.length === 0) return { source: 'no tokens', of: () => undefined }
  const source = `${fetched.length} tokens from ${origin}/api/token, shared by the connections`
  return { source, of: (connection) => fetched[connection % fetched.length] }
}

function signer({ claims, ramp, duration }: Choice, secret: string, run: string): (user: number) => string {
  const expiresIn = ramp + duration + EXTRA_TIME
  return (user) => testToken({ sub: `load-${run}-${user}`, ...claims }, { secret, expiresIn })
}

async function fetchTokens(url: string, count: number, run: string): Promise<string[]> {
  const tokens: string[] = []
  let user = 0
  const next = async (): Promise<void> => {
    while (user < count) {
      const token = await fetchToken(url, `load-${run}-${user++}`)
      // The server has no such route, or has given out enough.
      if (token === undefined) return
      tokens.push(token)
    }
  }
  await Promise.all(Array.from({ length: FETCHING_AT_ONCE }, next))
  return tokens
}

async function fetchToken(url: string, user: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user }),
      signal: AbortSignal.timeout(FETCH_TIMEOUT)
    })
    const { token } = (await response.json()) as { token?: unknown }
    return response.ok && typeof token === 'string' ? token : undefined
  } catch {
    return undefined // not the demo: continue without a token
  }
}
