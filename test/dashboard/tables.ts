import { Registry } from '../../lib/connection/registry.ts'
import { Hub } from '../../lib/hub/hub.ts'
import type { Node } from '../../lib/node/node.ts'
import { FakeConnection, type FakeConnectionOptions } from '../support/fake-connection.ts'

export interface Given extends Pick<FakeConnectionOptions, 'id' | 'route'> {
  user?: string
  stats?: Partial<FakeConnection['stats']>
  bufferedAmount?: number
  roundTripTime?: number
  channels?: readonly string[]
}

/** The parts of a node that the tables read, with these connections. */
export function nodeWith(connections: readonly Given[]): Node {
  const registry = new Registry()
  for (const { user, stats, bufferedAmount = 0, roundTripTime, channels = [], ...settings } of connections) {
    const connection = new FakeConnection({ ...settings, user: user === undefined ? null : { sub: user } })
    Object.assign(connection.stats, stats)
    Object.assign(connection, { bufferedAmount, roundTripTime, session: { channels } })
    registry.add(connection)
  }
  return { registry, hub: Object.create(Hub.prototype) } as Node
}
