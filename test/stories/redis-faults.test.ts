import t from 'tap'
import { faultNamed } from '../checker/faults.ts'
import { runTrial } from '../checker/trial.ts'

/*
 * A short selection of `npm run check:faults`, smaller: the promises hold under faults, for sockets and for the published
 * client of the channel protocol alike.
 */
const SMALL = { seed: 3, protocol: 'both', seconds: 3, nodes: 2, clients: 16, channels: 6, rate: 100 } as const

for (const name of ['CLIENT KILL TYPE pubsub every 500 ms', 'Redis SIGKILL and restart with AOF', 'replies eaten']) {
  t.test(name, async (t) => {
    const { violations, figures } = await runTrial(t, faultNamed(name), SMALL)
    t.strictSame(violations, [])
    t.ok(figures.delivered > 100, `${figures.delivered} delivered`)
  })
}
