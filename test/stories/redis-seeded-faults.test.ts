import t from 'tap'
import { faultNamed } from '../checker/faults.ts'
import { MUTATIONS, type MutationName } from '../checker/mutations.ts'
import { runTrial } from '../checker/trial.ts'

/*
 * Does the checker see anything? Each fault here is put into the library's own code, in a node's process, and the
 * checker must find it by what clients see.
 */
const FOUND_BY: Record<
  MutationName,
  { readonly fault: string; readonly rules: readonly string[]; readonly nodes?: number }
> = {
  'idempotency skipped': { fault: 'replies eaten', rules: ['once'] },
  'gap check skipped': { fault: 'publications lost on the way', rules: ['step'] },
  'buffer released before the merge': { fault: 'clients lose their connections', rules: ['step', 'recovery'] },
  'epoch kept at failover': {
    fault: 'failover by hand to a lagging replica',
    rules: ['payload', 'kept', 'backwards', 'tail']
  },
  'calls out of order': { fault: 'publishers that do not wait', rules: ['order'] },
  'requests of other nodes ignored': { fault: 'nothing', rules: ['disconnect'], nodes: 2 },
  'gap not declared': { fault: 'FLUSHALL', rules: ['undeclared-epoch'] },
  'lost answers taken for refusals': { fault: 'replies eaten', rules: ['refused'] }
}

const SMALL = {
  seed: 5,
  seconds: 2.5,
  nodes: 1,
  clients: 10,
  channels: 2,
  perClient: 2,
  rate: 120,
  settleTimeout: 1500
}

// Whether one is met is a matter of chance, and of how busy the machine is.
const TRIES = 4
// Most of a trial is waiting.
t.jobs = 2

for (const [name, { fault, rules, nodes = 1 }] of Object.entries(FOUND_BY)) {
  t.test(`${name}, found under: ${fault}`, { buffered: true }, async (t) => {
    const mutation = MUTATIONS[name as MutationName]
    const found: string[] = []
    for (let tries = 0; tries < TRIES && !found.some((rule) => rules.includes(rule)); tries++) {
      const { violations } = await runTrial(t, faultNamed(fault), { ...SMALL, seed: tries, nodes, mutation })
      found.push(...violations.map(({ rule }) => rule))
    }
    t.ok(
      found.some((rule) => rules.includes(rule)),
      `found: ${[...new Set(found)]}`
    )
  })
}
