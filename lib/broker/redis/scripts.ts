import { luaSource as read } from '../lua-source.ts'
import type { RedisClient } from './options.ts'

type Argument = string | number | Buffer

/** Replies as ioredis gives them: whole numbers as numbers, strings as strings, of the Buffer variants as Buffers. */
export interface RedisScripts {
  rtPublish(...keysAndArguments: Argument[]): Promise<PublishReply[]>
  rtHistoryBuffer(...keysAndArguments: Argument[]): Promise<HistoryReply>
  rtHistoryRemove(...keysAndArguments: Argument[]): Promise<number>
  rtPresenceAdd(...keysAndArguments: Argument[]): Promise<number>
  rtPresenceRemove(...keysAndArguments: Argument[]): Promise<number>
  rtPresenceListBuffer(...keysAndArguments: Argument[]): Promise<[users: Buffer[], infos: Buffer[]]>
  rtPresenceStats(...keysAndArguments: Argument[]): Promise<[connections: number, users: number]>
  rtLeaseAcquire(...keysAndArguments: Argument[]): Promise<0 | 1>
  rtTokensTake(...keysAndArguments: Argument[]): Promise<[granted: number, retryAfter: number]>
}

/** 0 added, 1 the key had been used for the same data, 2 for other data, 3 nobody knows. */
export type PublishReply = [outcome: 0 | 1 | 2 | 3, offset: number, epoch: string]

/** `at`: when Redis took the newest publication; `now`: its time. */
export type HistoryReply = [epoch: Buffer, offset: number, at: number, entries: RedisEntry[], now: number]

/** An entry of a stream: its id, and names and values by turns. */
export type RedisEntry = [id: Buffer, fields: Buffer[]]

const SCRIPTS = {
  rtPublish: { numberOfKeys: 4, lua: read('position') + read('publish') },
  rtHistory: { numberOfKeys: 2, lua: read('position') + read('history') },
  rtHistoryRemove: { numberOfKeys: 2, lua: read('position') + read('history-remove') },
  rtPresenceAdd: { numberOfKeys: 3, lua: read('members') + read('presence-add') },
  rtPresenceRemove: { numberOfKeys: 3, lua: read('presence-remove') },
  rtPresenceList: { numberOfKeys: 3, lua: read('members') + read('presence-list') },
  rtPresenceStats: { numberOfKeys: 3, lua: read('members') + read('presence-stats') },
  rtLeaseAcquire: { numberOfKeys: 1, lua: read('members') + read('lease-acquire') },
  rtTokensTake: { numberOfKeys: 1, lua: read('members') + read('tokens-take') }
}

export type ScriptedClient = RedisClient & RedisScripts

/** Gives a client the scripts as methods. A server that doesn't know one (or was flushed) is sent it in full. */
export function defineScripts(client: RedisClient): asserts client is ScriptedClient {
  for (const [name, script] of Object.entries(SCRIPTS)) client.defineCommand(name, script)
}
