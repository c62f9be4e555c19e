import { setTimeout as sleep } from 'node:timers/promises'
import { Bench, measured, type Subject } from '../bench.ts'
import type { Row } from '../row.ts'
import { offers } from '../servers/support.ts'

const CONNECTIONS = 10_000
const SETTLE = 1_500

const ours: Subject = { name: 'app.ws', server: 'ours.ts', path: '/sub', offers: offers(CONNECTIONS) }
const LOOP = 'delay of the event loop, 99th percentile'
const CPU = 'CPU time'

/** All connections leave within the window of 15 s, which is the default. */
export const drain: Row = {
  name: 'drain',
  title: `Drain of ${CONNECTIONS} connections`,
  unit: 'milliseconds',
  better: 'less',
  long: true,
  contenders: [
    {
      figures: [LOOP, CPU],
      measure: () =>
        Bench.use(ours, async (bench) => {
          await bench.open(CONNECTIONS)
          await bench.load.run({ do: 'rest' })
          await sleep(SETTLE)
          let times = { loop: 0, cpu: 0 }
          const watched = await bench.watch(async () => {
            const drained = bench.server.ask<typeof times>('drain')
            await bench.load.run({ do: 'part' })
            times = await drained
          })
          return [times.loop, times.cpu].map((value) => measured({ ...watched, generator: undefined }, value))
        })
    }
  ],
  goals: [
    { work: 'drain of 10,000: loop p99, ms', figure: LOOP, must: 10, aim: 5 },
    { work: 'drain of 10,000: CPU, ms', figure: CPU, must: 3_700, aim: 3_000 }
  ]
}
