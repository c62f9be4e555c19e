import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import {
  cpuOf,
  fileLimitOf,
  listenersOf,
  listeningInodes,
  memoryOf,
  withDescendants
} from '../../../../demo/load/measure/proc.ts'
import { findServer, parseMetrics } from '../../../../demo/load/measure/server-usage.ts'

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000
   1: 0100007F:0BB8 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000
   2: 0100007F:1BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0000000000000000
`

t.test('the sockets that listen on a port, and no others', async (t) => {
  t.same(listeningInodes(TABLE, 3000), ['4711'])
  t.same(listeningInodes(TABLE, 40_000), [])
  t.same(listeningInodes('', 3000), [])
})

t.test('who listens is found, and what it uses', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  t.same(listenersOf(port), [process.pid])
  t.ok((cpuOf(process.pid) as number) > 0)
  t.ok((memoryOf(process.pid) as number) > 1_000_000)
  t.ok((fileLimitOf(process.pid) as number) > 100)

  // A worker of the same program counts; its end leaves what it has used.
  const work = "for (const end = Date.now() + 100; Date.now() < end;); console.log('done'); setInterval(() => {}, 1e6)"
  const worker = spawn(process.execPath, ['--eval', work])
  t.teardown(() => worker.kill('SIGKILL'))
  await once(worker.stdout, 'data')
  t.same(withDescendants([process.pid]).sort(), [process.pid, worker.pid].sort())
  const usage = await findServer('127.0.0.1', port, `http://127.0.0.1:${port}`)
  t.match(usage, { source: 'process', processes: 2 })
  const both = await usage?.sample()
  worker.kill()
  await once(worker, 'exit')
  const one = await usage?.sample()
  t.ok((one?.cpu as number) >= (both?.cpu as number), 'what was used is not used less later')
  t.ok((one?.memory as number) < (both?.memory as number))
  t.equal(usage?.processes, 1)
})

t.test('a process that is not there', async (t) => {
  t.same([cpuOf(2 ** 30), memoryOf(2 ** 30), fileLimitOf(2 ** 30)], [undefined, undefined, undefined])
  t.same(listenersOf(1), [])
})

t.test('what a server says of itself, where nothing else is known', async (t) => {
  const metrics = 'process_cpu_seconds_total 12.5\nprocess_resident_memory_bytes{pid="7"} 1048576\n'
  t.same(parseMetrics(metrics), { cpu: 12.5, memory: 1_048_576 })
  t.equal(parseMetrics('process_cpu_seconds_total 12.5\n'), undefined)
  // Nothing listens there.
  t.equal(await findServer('192.0.2.1', 3000, 'http://127.0.0.1:1'), undefined)
})
