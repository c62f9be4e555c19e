import { stringify } from '../input/stringify.ts'
import { clientInfo } from '../protocol/replies.ts'

/** The client that is described. */
export interface DescribedClient {
  readonly user: { readonly sub?: string | undefined } | null
  readonly connection: { readonly id: string }
  /** What describes it on all channels; JSON text. */
  readonly info: string | undefined
}

/** Describes a client to others, as JSON text; `info` is what describes it on one channel. */
export function describeClient({ user, connection, info: ofConnection }: DescribedClient, info?: unknown): Buffer {
  const ofChannel = info === undefined ? undefined : stringify(info)
  const { sub = '' } = user ?? {}
  return Buffer.from(clientInfo({ user: sub, client: connection.id, connection: ofConnection, channel: ofChannel }))
}
