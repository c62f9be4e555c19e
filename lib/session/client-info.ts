import { stringify } from '../input/stringify.ts'
import { clientInfo } from '../protocol/replies.ts'

/** The client to describe. */
export interface DescribedClient {
  readonly user: { readonly sub?: string | undefined } | null
  readonly connection: { readonly id: string }
  /** The application's description of the client for all channels, as JSON text. */
  readonly info: string | undefined
}

/**
 * Describes a client to others, as JSON text.
 * @param info The application's description of the client for one channel.
 */
export function describeClient({ user, connection, info: ofConnection }: DescribedClient, info?: unknown): Buffer {
  const ofChannel = info === undefined ? undefined : stringify(info)
  const { sub = '' } = user ?? {}
  return Buffer.from(clientInfo({ user: sub, client: connection.id, connection: ofConnection, channel: ofChannel }))
}
