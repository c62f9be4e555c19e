import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { sampleServer } from '../../lib/load/server-usage.ts'

const METRICS = `# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
process_resident_memory_bytes{pid="1"} 1e8
`

test('a server with metrics, one without, and none', async (t) => {
  let metrics = METRICS
  const server = createServer((_request, response) => void response.end(metrics))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.closeAllConnections())
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.same(await sampleServer(origin), { cpu: 12.5, memory: 1e8 })
  metrics = METRICS.replaceAll('process_cpu', 'other')
  t.equal(await sampleServer(origin), undefined)
  server.close()
  server.closeAllConnections()
  t.equal(await sampleServer(origin), undefined)
})
