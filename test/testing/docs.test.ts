import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'

/*
 * The examples of docs/testing.md, run as they stand there but for where the package is found. An example is a block whose
 * first line names its file.
 */
const root = join(import.meta.dirname, '..', '..')
const page = readFileSync(join(root, 'docs', 'testing.md'), 'utf8')
const examples = [...page.matchAll(/^```js\n\/\/ (\S+\.test\.js)\n(.*?)^```$/gms)]

t.equal(examples.length, 2)

for (const [, name = '', code = ''] of examples) {
  t.test(name, async (t) => {
    const source = code
      .replaceAll("'fastify-realtime/testing'", `'${join(root, 'lib', 'testing', 'index.ts')}'`)
      .replaceAll("'fastify-realtime'", `'${join(root, 'lib', 'index.ts')}'`)
    t.notMatch(source, /'fastify-realtime/)
    const file = join(t.testdir({ [name]: source }), name)
    // With the flags of this process, which let Node run TypeScript.
    const child = spawn(process.execPath, [...process.execArgv, file], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    const [[exitCode], output, errors] = await Promise.all([
      once(child, 'exit'),
      text(child.stdout),
      text(child.stderr)
    ])
    t.equal(exitCode, 0, { output, errors })
    // No test at all would pass too.
    t.match(output, /^(?:#|ℹ) pass [1-9]|^ok 1 - /m)
  })
}
