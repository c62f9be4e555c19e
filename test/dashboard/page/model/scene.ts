import type { Snapshot } from '../../../../lib/dashboard/messages.ts'
import { Cluster } from '../../../../lib/dashboard/page/model/cluster.ts'
import { frameOf } from '../../../../lib/dashboard/page/model/timeline.ts'
import { snapshotOf } from '../../snapshot.ts'

export const START = 1_700_000_000_000

/** A clock that is set by hand, and snapshots as a node makes them. */
export function scene() {
  const clock = { time: 0, now: () => clock.time }
  const cluster = new Cluster(clock)
  const snapshot = (node: string, second: number, figures: Partial<Snapshot> = {}): Snapshot =>
    snapshotOf({
      node,
      name: `worker ${node}`,
      at: START + second * 1000 + 5,
      connections: { '/a': 2, '/b': 1 },
      broker: { kind: 'redis', since: START },
      ...figures
    })
  const take = (...given: Parameters<typeof snapshot>) => cluster.take(snapshot(...given))
  const frame = () => frameOf(cluster.nodes(), cluster.now())
  /** Milliseconds since START by the nodes' clocks; only after the first snapshot. */
  const goTo = (milliseconds: number) => {
    clock.time += START + milliseconds - cluster.now()
  }
  return { clock, cluster, take, frame, goTo }
}
