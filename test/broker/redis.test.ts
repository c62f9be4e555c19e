import t, { type Test } from 'tap'
import { RedisBroker, type RedisBrokerOptions } from '../../lib/broker/redis.ts'
import { RedisServer, until } from '../support/redis-server.ts'
import { brokerContract } from './contract.ts'
import { Recorder } from './recorder.ts'

const server = await RedisServer.start(t)
let prefixes = 0

export async function open(t: Test, options: Partial<RedisBrokerOptions> = {}) {
  const broker = new RedisBroker({ redis: server.url, ...options })
  const heard = new Recorder()
  t.teardown(() => broker.close())
  await broker.start(heard)
  const pass = async (milliseconds: number) => {
    const end = (await serverTime()) + milliseconds
    await until(async () => (await serverTime()) > end)
  }
  return { broker, heard, pass }
}

async function serverTime(): Promise<number> {
  const [seconds, microseconds] = await server.admin.time()
  return Number(seconds) * 1000 + Number(microseconds) / 1000
}

t.test('the contract', (t) =>
  brokerContract(t, async (t) => {
    const prefix = `test${prefixes++}`
    return { bench: await open(t, { prefix }), other: await open(t, { prefix }) }
  })
)
