import { register } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { ServerSettings } from './server.ts'

/*
 * One node of the system under test, as a process of its own: `fork(node.ts, [JSON of ServerSettings])`. It sends
 * { port } once it listens, drains on SIGTERM, and ends with its parent.
 */
const settings = JSON.parse(process.argv[2] ?? '{}') as ServerSettings
if (settings.mutations) register('./mutation-hooks.js', import.meta.url, { data: settings.mutations })
const { serve } = await import('./server.ts')
process.once('disconnect', () => process.exit(1))
const app = await serve(settings)
process.once('SIGTERM', async () => {
  await app.close()
  process.removeAllListeners('disconnect')
  process.disconnect?.()
})
const [address] = app.addresses() as AddressInfo[]
process.send?.({ port: address?.port })
