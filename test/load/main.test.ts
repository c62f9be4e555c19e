import { mock } from 'node:test'
import { test } from 'tap'

test('without a command it prints the help', async (t) => {
  let printed = ''
  mock.method(process.stdout, 'write', ((text: string) => {
    printed += text
    return true
  }) as typeof process.stdout.write)
  process.argv.splice(2)
  await import('../../lib/load/main.ts')
  mock.restoreAll()
  t.match(printed, /^Usage: fastify-realtime/)
  t.equal(process.exitCode, 0)
  process.exitCode = undefined
})
