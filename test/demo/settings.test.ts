import { test } from 'tap'
import { readSettings } from '../../demo/settings.ts'

test('without an environment: one process, on loopback, with a secret of its own', async (t) => {
  const { jwtSecret, adminKey, ...settings } = readSettings({})
  t.same(settings, {
    host: '127.0.0.1',
    port: 3000,
    redisUrl: undefined,
    jwtSecretIsRandom: true,
    heartbeat: { interval: undefined, timeout: undefined },
    drain: { window: 15_000, timeout: 25_000 }
  })
  t.equal(Buffer.from(jwtSecret, 'base64url').length, 32)
  t.not(readSettings({}).jwtSecret, jwtSecret)
  t.equal(Buffer.from(adminKey, 'base64url').length, 16)
  t.not(readSettings({}).adminKey, adminKey)
})

test('every variable counts, and an empty one is none', async (t) => {
  const given = readSettings({
    HOST: '0.0.0.0',
    PORT: '0',
    REDIS_URL: 'redis://127.0.0.1:6379',
    JWT_SECRET: 'a secret',
    ADMIN_KEY: 'the-key-of-an-administrator',
    HEARTBEAT_INTERVAL: '2000',
    HEARTBEAT_TIMEOUT: '1000',
    DRAIN_WINDOW: '4000',
    DRAIN_TIMEOUT: '10000'
  })
  t.same(given, {
    host: '0.0.0.0',
    port: 0,
    redisUrl: 'redis://127.0.0.1:6379',
    jwtSecret: 'a secret',
    jwtSecretIsRandom: false,
    adminKey: 'the-key-of-an-administrator',
    heartbeat: { interval: 2000, timeout: 1000 },
    drain: { window: 4000, timeout: 10_000 }
  })
  const { port, redisUrl, jwtSecretIsRandom } = readSettings({ PORT: '', REDIS_URL: '', JWT_SECRET: '' })
  t.same({ port, redisUrl, jwtSecretIsRandom }, { port: 3000, redisUrl: undefined, jwtSecretIsRandom: true })
})

test('of the drain, what is not given fits what is', async (t) => {
  const drain = (env: Record<string, string>) => readSettings(env).drain
  t.same(drain({ DRAIN_TIMEOUT: '10000' }), { window: 6000, timeout: 10_000 })
  t.same(drain({ DRAIN_TIMEOUT: '60000' }), { window: 15_000, timeout: 60_000 })
  t.same(drain({ DRAIN_WINDOW: '4000' }), { window: 4000, timeout: 25_000 })
  t.same(drain({ DRAIN_WINDOW: '60000' }), { window: 60_000, timeout: 70_000 })
  t.same(drain({ DRAIN_WINDOW: '0', DRAIN_TIMEOUT: '100' }), { window: 0, timeout: 100 })
})

test('what makes no sense is named, all of it, without its value', async (t) => {
  const env = {
    PORT: '80a',
    HEARTBEAT_INTERVAL: '1',
    DRAIN_WINDOW: '-1',
    ADMIN_KEY: 'too short',
    REDIS_URL: 'https://user:hunter2@example.com'
  }
  t.throws(() => readSettings(env), {
    name: 'SettingsError',
    message:
      'PORT must be a whole number from 0 to 65535; ' +
      'HEARTBEAT_INTERVAL must be a whole number from 50 to 86400000; ' +
      'DRAIN_WINDOW must be a whole number from 0 to 3600000; ' +
      'REDIS_URL must be a URL like redis://127.0.0.1:6379, rediss://user:password@host:6379 or unix:/run/redis.sock; ' +
      'ADMIN_KEY must be 16 to 128 characters, each a letter, a digit, - or _'
  })
  t.throws(() => readSettings({ REDIS_URL: 'not a url' }), /REDIS_URL must be/)
  t.throws(() => readSettings({ DRAIN_WINDOW: '5000', DRAIN_TIMEOUT: '4000' }), {
    message: 'DRAIN_TIMEOUT must not be less than DRAIN_WINDOW'
  })
})
