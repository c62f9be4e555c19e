import { stringify } from '../../input/stringify.ts'
import { clientInfo } from '../../protocol/replies.ts'
import type { Session } from '../session.ts'

/** Describes a client to others, as JSON text; `info` is what describes it on one channel. */
export function describeClient({ user, connection, info: ofConnection }: Session, info?: unknown): Buffer {
  const ofChannel = info === undefined ? undefined : stringify(info)
  const { sub = '' } = user ?? {}
  return Buffer.from(clientInfo({ user: sub, client: connection.id, connection: ofConnection, channel: ofChannel }))
}
