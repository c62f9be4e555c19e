import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import tap, { type Test, test } from 'tap'
import { DemoProcess } from '../support/demo.ts'

// Processes are started one after another, which takes a machine that does other things meanwhile a while.
const PATIENCE = 240_000
tap.setTimeout(PATIENCE)

const WORKERS = ['--workers', '2']

/** Starts two workers; each process runs the code before its own. The third worker is the first one's successor. */
async function start(t: Test, before: string): Promise<DemoProcess> {
  const code = `import cluster from 'node:cluster'; const id = cluster.worker?.id; ${before}`
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}`, DRAIN_WINDOW: '100' }
  const demo = await DemoProcess.start(t, env, undefined, WORKERS)
  await demo.message('all workers listen')
  await untilListening(demo, 2)
  return demo
}

/** What the panel "Break it" asks for, and is told. */
interface State {
  readonly running: string | null
  readonly failure: string | null
  readonly progress: readonly { worker: number; successor: number | null; state: string; reason: string | null }[]
}

async function ask(demo: DemoProcess, action?: string): Promise<State> {
  const response = await fetch(`${demo.address}/api/break`, {
    method: action === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${await demo.token('ada', await demo.adminKey())}`,
      'content-type': 'application/json'
    },
    ...(action !== undefined && { body: JSON.stringify({ action }) })
  })
  return (await response.json()) as State
}

/** Each worker writes its own lines, which may come after what the primary process writes later. */
const untilListening = (demo: DemoProcess, count: number) => demo.line(() => listening(demo).length >= count)

const listening = (demo: DemoProcess) =>
  demo.logs.filter(({ msg }) => msg?.startsWith('Server listening')).map(({ pid }) => pid as number)

const isThere = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('a restart whose first successor dies ends there, and the old ones stay', { timeout: PATIENCE }, async (t) => {
  // The old worker was stopped all the same, and all of them in turn.
  const demo = await start(t, "if (id === 3) process.kill(process.pid, 'SIGKILL')")
  const old = listening(demo)
  t.match(await ask(demo, 'restart'), { running: 'restart', failure: null })
  const given =
    /^restart given up: (worker 3 \(process \d+\) did not come to listen: SIGKILL ended it\. worker 1 .*stays)$/
  const { msg = '' } = await demo.line(({ msg }) => given.test(msg ?? ''))
  const failure = given.exec(msg)?.[1] ?? ''
  t.match(await ask(demo), {
    running: null,
    failure,
    progress: [
      { worker: 1, successor: 3, state: 'failed', reason: failure },
      { worker: 2, successor: null, state: 'waiting', reason: null }
    ]
  })
  t.same(old.map(isThere), [true, true])

  demo.signal('SIGHUP')
  await demo.message('restarting the workers one by one')
  await demo.message('all workers restarted')
  t.match(await ask(demo), {
    running: null,
    failure: null,
    progress: [
      { worker: 1, successor: 4, state: 'done', reason: null },
      { worker: 2, successor: 5, state: 'done', reason: null }
    ]
  })
  await untilListening(demo, 4)
  t.same(old.map(isThere), [false, false])
  t.equal(listening(demo).length, 4, 'two in place of two')
  t.match(await demo.end(), { code: 0 })
  t.same(
    demo.logs.filter(({ level }) => level >= 50),
    []
  )
})

test('nobody waits for ever for a worker that hangs before it listens', { timeout: PATIENCE }, async (t) => {
  const hang = 'if (id > 2) await new Promise(() => setInterval(() => {}, 1000))'
  // The primary process has no patience.
  const hurry =
    'const set = setTimeout; globalThis.setTimeout = (act, ms, ...more) => set(act, ms === 60000 ? 1 : ms, ...more)'
  const demo = await start(t, `if (id === undefined) { ${hurry} }; ${hang}`)
  const old = listening(demo)
  await ask(demo, 'restart')
  await demo.line(({ msg }) =>
    /^restart given up: worker 3 \(.*\) did not come to listen: it did not listen within 60 s\. /.test(msg ?? '')
  )
  t.same(old.map(isThere), [true, true])
  // Whatever was begun after this was refused, and each SIGHUP dropped without a word.
  t.match(await ask(demo, 'kill'), { running: 'kill' })
  const given = /^kill given up: (no worker came to listen in place of worker \d \(process \d+\).*)$/
  const { msg = '' } = await demo.line(({ msg }) => given.test(msg ?? ''))
  // It was given up before the worker was killed, which may have been the one to answer.
  await demo.message('a worker died')
  t.equal(old.filter(isThere).length, 1)
  t.match(await ask(demo), { running: null, failure: given.exec(msg)?.[1] ?? '' })
})

test('a successor that cannot start says why, and the panel gets to know it', { timeout: PATIENCE }, async (t) => {
  const demo = await start(t, "if (id === 3) process.env.HEARTBEAT_INTERVAL = 'soon'")
  await ask(demo, 'restart')
  await demo.line(({ msg }) => msg?.startsWith('restart given up: ') === true)
  t.match(await ask(demo), {
    failure:
      /^worker 3 \(process \d+\) did not come to listen: it ended with code 1: HEARTBEAT_INTERVAL must be .*stays$/
  })
})

test('a killed worker whose successor dies too: the panel names both, and gets a third', {
  timeout: PATIENCE
}, async (t) => {
  const demo = await start(t, "if (id === 3) process.kill(process.pid, 'SIGKILL')")
  await ask(demo, 'kill')
  await untilListening(demo, 3)
  let state = await ask(demo)
  while (state.running !== null) state = await ask(demo)
  t.match(state, {
    failure: null,
    progress: [
      { successor: 4, state: 'done', reason: /^worker 3 \(process \d+\) did not come to listen: SIGKILL ended it$/ }
    ]
  })
})

test('a SIGHUP while something else is under way is ignored, and said to be', { timeout: PATIENCE }, async (t) => {
  const demo = await start(t, '')
  demo.signal('SIGHUP')
  await demo.message('restarting the workers one by one')
  demo.signal('SIGHUP')
  t.match(await demo.message('restart ignored: something else is under way'), { level: 40, running: 'restart' })
  // A worker that drains already was given the signal a second time, which ends it at once.
  t.match(await demo.end(), { code: 0 })
  t.notOk(demo.logs.some(({ msg }) => msg?.startsWith('second signal')))
})

test('a port that is taken: said so, and 1, with nothing left behind', { timeout: PATIENCE }, async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  // Workers were forked again and again, and all were said to listen.
  const demo = DemoProcess.spawn(t, { PORT: String(port) }, undefined, WORKERS)
  t.equal((await demo.exited).code, 1)
  const fatal = demo.logs.filter(({ level }) => level >= 50)
  t.same(new Set(fatal.map(({ level }) => level)), new Set([60]))
  t.match(fatal[0], { code: 'EADDRINUSE', msg: `port ${port} of 127.0.0.1 is taken: set PORT to another one` })
  // Not always the last: Node itself sometimes throws in a worker that is told of it while it ends.
  const [own] = fatal.filter(({ pid }) => pid === demo.pid)
  t.match(own, { msg: /^a worker ended before it listened/ })
  t.notOk(demo.logs.some(({ msg }) => msg === 'all workers listen'))
  const { redis } = await demo.line(({ msg }) => msg === 'started a Redis for this demo')
  t.notOk(isThere(redis as number), 'nor its Redis')
  t.same(demo.noise, [])
})
