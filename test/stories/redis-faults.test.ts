import t from 'tap'
import { faultNamed } from '../checker/faults.ts'
import { runTrial } from '../checker/trial.ts'

/* A short selection of `npm run check:faults`, smaller: the promises hold under faults. */
const SMALL = { seed: 3, seconds: 4, clients: 20, channels: 6, rate: 100 }

for (const [name, settings] of Object.entries({
  'SIGKILL of a node': {},
  'CLIENT KILL TYPE pubsub every 500 ms': { nodes: 2 },
  'publications lost on the way': { nodes: 2 },
  'Redis SIGKILL and restart with AOF': { nodes: 2 },
  'replies eaten': { nodes: 2 }
})) {
  t.test(name, async (t) => {
    const { violations, figures } = await runTrial(t, faultNamed(name), { ...SMALL, ...settings })
    t.strictSame(violations, [])
    t.ok(figures.delivered > 100, `${figures.delivered} delivered`)
  })
}
