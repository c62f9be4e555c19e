import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { connect } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'

t.test('case 179: thirty waits on one signal', async (t) => {
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  const { app } = await buildApp(t, { auth: false })
  app.ws('/waits', async (socket) => {
    const waits = Array.from({ length: 30 }, () => delay(60_000, undefined, { signal: socket.signal }))
    socket.sendJson('waiting')
    await Promise.allSettled(waits)
  })
  const client = await connect(app, '/waits')
  t.equal(await client.next(), 'waiting')
  // A warning comes in the next tick; this one comes behind it.
  const last = once(process, 'warning')
  process.emitWarning('the last')
  await last
  t.same(
    warnings.map(({ message }) => message),
    ['the last']
  )
})
