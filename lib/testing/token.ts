import { createHmac } from 'node:crypto'
import { NoSignerError } from './errors.ts'

/**
 * The default secret of `testToken(claims)`. Register `@fastify/jwt` with it in a test app. The secret is public: never
 * use it in production.
 */
export const testSecret = 'fastify-realtime-test-secret-not-for-production'

/** The claims of a test token. A claim that you give replaces the default. `undefined` removes the claim. */
export interface TestClaims {
  /** @default 'user-1' */
  sub?: unknown
  /** Seconds since 1970. @default now */
  iat?: unknown
  /** Seconds since 1970. @default one hour from now */
  exp?: unknown
  [claim: string]: unknown
}

export interface TestTokenOptions {
  /** The HS256 secret. @default testSecret */
  secret?: string | undefined
  /** Milliseconds from now to the claim `exp`. May be negative. @default 3_600_000 */
  expiresIn?: number | undefined
}

/** The part of a Fastify app that `testToken(app)` needs. */
export interface SigningApp {
  ready(): PromiseLike<unknown>
  hasDecorator(name: string): boolean
  getDecorator<T>(name: string): T
}

interface Signer {
  sign(payload: object): string | Promise<string>
}

/** Returns a token that this function signs with HS256. */
export function testToken(claims?: TestClaims, options?: TestTokenOptions): string
/**
 * Returns a token that the app's own `@fastify/jwt` signs, with the app's algorithm, key and `sign` options. If these
 * options have `expiresIn`, it replaces `exp`. Calls `app.ready()` first.
 */
export function testToken(
  app: SigningApp,
  claims?: TestClaims,
  options?: Pick<TestTokenOptions, 'expiresIn'>
): Promise<string>
export function testToken(
  first?: TestClaims | SigningApp,
  second?: TestClaims | TestTokenOptions,
  third?: TestTokenOptions
): string | Promise<string> {
  if (isApp(first)) return signedBy(first, withDefaults(second as TestClaims | undefined, third))
  const options = second as TestTokenOptions | undefined
  return signed(withDefaults(first, options), options?.secret ?? testSecret)
}

function isApp(value: TestClaims | SigningApp | undefined): value is SigningApp {
  return typeof (value as Partial<SigningApp> | undefined)?.getDecorator === 'function'
}

function withDefaults(claims: TestClaims | undefined, options: TestTokenOptions | undefined): TestClaims {
  const now = Date.now()
  const exp = Math.floor((now + (options?.expiresIn ?? 3_600_000)) / 1000)
  return { sub: 'user-1', iat: Math.floor(now / 1000), exp, ...claims }
}

async function signedBy(app: SigningApp, claims: TestClaims): Promise<string> {
  await app.ready()
  if (!app.hasDecorator('jwt')) throw new NoSignerError()
  return app.getDecorator<Signer>('jwt').sign(claims)
}

function signed(claims: TestClaims, secret: string): string {
  const content = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded(claims)}`
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
