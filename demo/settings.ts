import { randomBytes } from 'node:crypto'

/** The demo's settings, from its environment. */
export interface Settings {
  readonly host: string
  readonly port: number
  readonly redisUrl: string | undefined
  readonly jwtSecret: string
  /** True if JWT_SECRET was not given: tokens end with this process. */
  readonly jwtSecretIsRandom: boolean
  /** The key that the demo prints at its start. A browser that has it is an administrator. */
  readonly adminKey: string
  /** Milliseconds; undefined stands for the package's default. */
  readonly heartbeat: { readonly interval: number | undefined; readonly timeout: number | undefined }
  /** Milliseconds. */
  readonly drain: { readonly window: number; readonly timeout: number }
}

/**
 * The environment has wrong values. The message names each variable and what to give, never a value that may be secret.
 */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_WINDOW = 15_000
const DEFAULT_TIMEOUT = 25_000
// If only the timeout of a drain is given, this share is for the closes. The rest is for clients that answer slowly.
const WINDOW_SHARE = 0.6
// The same if only the window is given.
const TIME_AFTER_WINDOW = 10_000
// It goes into the fragment of an address unchanged.
const ADMIN_KEY = /^[\w-]{16,128}$/

export function readSettings(env: Environment): Settings {
  const faults: string[] = []
  const number = (name: string, least: number, most: number): number | undefined => {
    const text = env[name]
    if (!text) return undefined
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    faults.push(`${name} must be a whole number from ${least} to ${most}`)
    return undefined
  }

  const port = number('PORT', 0, 65_535) ?? 3000
  const heartbeat = {
    interval: number('HEARTBEAT_INTERVAL', 50, 86_400_000),
    timeout: number('HEARTBEAT_TIMEOUT', 50, 86_400_000)
  }
  const drain = fitDrain(number('DRAIN_WINDOW', 0, 3_600_000), number('DRAIN_TIMEOUT', 100, 7_200_000))
  if (drain.timeout < drain.window) faults.push('DRAIN_TIMEOUT must not be less than DRAIN_WINDOW')
  const redisUrl = env.REDIS_URL || undefined
  if (redisUrl !== undefined && !isRedisUrl(redisUrl)) {
    faults.push(
      'REDIS_URL must be a URL like redis://127.0.0.1:6379, rediss://user:password@host:6379 or unix:/run/redis.sock'
    )
  }
  if (env.ADMIN_KEY && !ADMIN_KEY.test(env.ADMIN_KEY)) {
    faults.push('ADMIN_KEY must be 16 to 128 characters, each a letter, a digit, - or _')
  }
  if (faults.length > 0) throw new SettingsError(faults.join('; '))

  return {
    host: env.HOST || '127.0.0.1',
    port,
    redisUrl,
    jwtSecret: env.JWT_SECRET || randomBytes(32).toString('base64url'),
    jwtSecretIsRandom: !env.JWT_SECRET,
    adminKey: env.ADMIN_KEY || randomBytes(16).toString('base64url'),
    heartbeat,
    drain
  }
}

/** The package refuses a timeout shorter than the window. If only one of them is given, the other follows it. */
function fitDrain(window: number | undefined, timeout: number | undefined): Settings['drain'] {
  if (window === undefined && timeout === undefined) return { window: DEFAULT_WINDOW, timeout: DEFAULT_TIMEOUT }
  if (timeout === undefined) {
    const given = window as number
    return { window: given, timeout: Math.max(DEFAULT_TIMEOUT, given + TIME_AFTER_WINDOW) }
  }
  return { window: window ?? Math.min(DEFAULT_WINDOW, Math.floor(timeout * WINDOW_SHARE)), timeout }
}

function isRedisUrl(text: string): boolean {
  return URL.canParse(text) && ['redis:', 'rediss:', 'unix:'].includes(new URL(text).protocol)
}

/** The plugin's option `redis` for a URL. ioredis has no URLs for Unix sockets, only paths. */
export function redisOption(url: string | undefined): string | { path: string } | undefined {
  return url?.startsWith('unix:') ? { path: decodeURIComponent(new URL(url).pathname) } : url
}
