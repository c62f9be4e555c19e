import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'

t.test('case 179: thirty waits on one signal', async (t) => {
  // Node's own way for every warning.
  const warnings = t.capture(process, 'emitWarning', () => undefined)
  const { app } = await buildApp(t, { auth: false })
  app.ws('/waits', async (socket) => {
    const waits = Array.from({ length: 30 }, () => delay(60_000, undefined, { signal: socket.signal }))
    socket.sendJson('waiting')
    await Promise.allSettled(waits)
  })
  const client = await connect(app, '/waits')
  t.equal(await client.next(), 'waiting')
  t.same(
    warnings().map(({ args }) => args),
    []
  )
})

t.test('nothing that listens to a signal ends the process', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false })
  const aborted: string[] = []
  app.ws('/throws', async (socket) => {
    socket.signal.addEventListener('abort', () => {
      throw new Error('of the application')
    })
    socket.signal.addEventListener('abort', () => aborted.push(socket.id))
    socket.sendJson('ready')
    await once(socket.signal, 'abort')
  })
  const client = await connect(app, '/throws')
  t.equal(await client.next(), 'ready')
  await client.close()
  while (aborted.length === 0) await delay(1)
  t.match(
    logs.filter(({ level }) => level === 50),
    [{ msg: 'socket listener failed', event: 'abort', err: { message: 'of the application' } }]
  )
})
