import t from 'tap'
import { defineScripts, type RedisScripts } from '../../../lib/broker/redis/scripts.ts'
import { FakeClient } from './fake-client.ts'

/* What they do is tested against servers, by the contract; here is how they are handed to one. */

interface Script {
  readonly numberOfKeys: number
  readonly lua: string
}

function defined(): Map<string, Script> {
  const scripts = new Map<string, Script>()
  const client = Object.assign(new FakeClient(), {
    defineCommand: (name: string, script: Script) => void scripts.set(name, script)
  })
  defineScripts(client.asRedis)
  return scripts
}

t.test('a client gets each script as a method', async (t) => {
  // The Buffer variants are ioredis’s own.
  const names: (keyof RedisScripts)[] = [
    'rtPublish',
    'rtHistoryBuffer',
    'rtHistoryRemove',
    'rtPresenceAdd',
    'rtPresenceRemove',
    'rtPresenceListBuffer',
    'rtPresenceStats',
    'rtLeaseAcquire',
    'rtTokensTake'
  ]
  t.strictSame(new Set(defined().keys()), new Set(names.map((name) => name.replace(/Buffer$/, ''))))
})

t.test('every key that a script touches is declared: a cluster routes by them', async (t) => {
  for (const [name, { numberOfKeys, lua }] of defined()) {
    const used = Array.from(lua.matchAll(/KEYS\[(\d+)\]/g), ([, number]) => Number(number))
    t.equal(Math.max(...used), numberOfKeys, name)
    t.notMatch(lua, /KEYS\[[^\d]/, `${name}: no key is computed`)
  }
})

t.test('what a script calls stands before it, and nothing that a client sent goes into an error', async (t) => {
  // `call` is an argument: redis.call or redis.pcall.
  const ofLua = ['tonumber', 'ipairs', 'unpack', 'type', 'pcall', 'call']
  for (const [name, { lua }] of defined()) {
    const code = lua.replace(/--.*$/gm, '')
    for (const { 1: called = '', index } of code.matchAll(/(?<![\w.]|function )([a-z]\w*)\(/gi)) {
      if (ofLua.includes(called)) continue
      const from = code.indexOf(`local function ${called}(`)
      t.ok(from >= 0 && from < index, `${name} has ${called}`)
    }
    t.notMatch(code, /error_reply|\berror\(/, name)
  }
})
