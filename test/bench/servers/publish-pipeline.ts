import { Redis } from 'ioredis'
import { luaSource } from '../../../lib/broker/lua-source.ts'
import { HISTORY, listening, publishing } from './support.ts'

/*
 * Control: the script that this package publishes with, in a bare pipeline of ioredis, without checks, deadlines and
 * order. The arguments are those of lib/broker/lua/publish.lua.
 */
const MAX_BYTES = 8_388_608
const POSITION_TTL = 86_400_000
const KEY_TTL = 300_000
const NO_POSITION = ['', 0, 0]
const NO_INFO_NO_CONNECTION_JSON_NO_KEY = ['', '', '', '']

const redis = new Redis(process.env.REDIS_URL as string)
redis.defineCommand('benchPublish', { numberOfKeys: 4, lua: luaSource('position') + luaSource('publish') })

function command(channel: string, data: unknown): (string | number)[] {
  const name = `bench:{${channel}}`
  return [
    'benchPublish',
    ...[`${name}:meta`, `${name}:stream`, `${name}:keys`, `${name}:expiries`],
    ...[name, 'PUBLISH', HISTORY.size, HISTORY.ttl, MAX_BYTES, POSITION_TTL, 'epoch', ...NO_POSITION, Date.now()],
    ...[JSON.stringify(data), ...NO_INFO_NO_CONNECTION_JSON_NO_KEY, KEY_TTL]
  ]
}

async function publish(channels: readonly string[], data: unknown): Promise<void> {
  const replies = await redis.pipeline(channels.map((channel) => command(channel, data))).exec()
  const failed = replies?.find(([error]) => error !== null)
  if (failed !== undefined) throw failed[0]
}

listening(undefined, { publish: () => publishing(publish) })
