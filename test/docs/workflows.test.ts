import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { readManifest, SUPPORTED_NODES } from '../../scripts/publication.ts'
import { read, root } from './pages.ts'

/* The files for GitHub, as far as they can be checked without it. */

const FOLDER = '.github'
const files = readdirSync(join(root, FOLDER), { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.yml')
)

interface Workflow {
  readonly permissions: unknown
  readonly jobs: Readonly<
    Record<string, { steps: { run?: string }[]; strategy?: { matrix: { node: string[] } }; permissions?: unknown }>
  >
}

const workflow = (name: string): Workflow => parse(read(`${FOLDER}/workflows/${name}.yml`))

t.test('each is YAML', async (t) => {
  t.ok(files.length > 4)
  for (const file of files) t.type(parse(read(`${FOLDER}/${file}`)), Object, file)
})

t.test('the tests run on every supported version of Node', async (t) => {
  t.same(workflow('test').jobs.test?.strategy?.matrix.node, SUPPORTED_NODES)
  const { node } = readManifest().engines as { node: string }
  t.ok(SUPPORTED_NODES[0]?.startsWith(node.slice(2)), 'the oldest is the one that the manifest names')
})

t.test('every command exists', async (t) => {
  const scripts = Object.keys(readManifest().scripts as object)
  for (const name of ['test', 'release']) {
    const { jobs, permissions } = workflow(name)
    t.same(permissions, { contents: 'read' }, 'a workflow has no rights that it does not need')
    const commands = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []))
    t.ok(commands.length > 1)
    for (const command of commands) {
      const [, script = ''] = /^npm (?:run )?(\S+)$/.exec(command) ?? []
      t.ok(script === 'ci' || scripts.includes(script), command)
    }
  }
  t.same(workflow('release').jobs.publish?.permissions, { contents: 'read', 'id-token': 'write' })
})
