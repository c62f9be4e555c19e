import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { run } from '../../../scripts/run.ts'
import { onCore } from '../processes.ts'
import { median } from '../report.ts'
import { contender, type Row } from '../row.ts'

const execute = promisify(execFile)
// One start is short, and its spread large.
const STARTS = 5

const ours = 'fastify-realtime'
const bare = '@fastify/websocket'
let built = false

/** What applications install, not the sources. */
function build(): void {
  if (!built && !run('npm', ['run', '--silent', 'build'])) throw new Error('The package could not be built')
  built = true
}

async function startOf(file: string): Promise<number> {
  const script = fileURLToPath(new URL(`../start/${file}`, import.meta.url))
  const [program, ...args] = onCore(0, [process.execPath, script])
  const { stdout } = await execute(program, args)
  return Number(stdout)
}

function start(name: string, file: string) {
  return contender(name, async () => {
    build()
    const times: number[] = []
    for (let i = 0; i < STARTS; i++) times.push(await startOf(file))
    return { value: median(times), contention: 0 }
  })
}

/** Fastify and @fastify/jwt are part of both. */
export const starting: Row = {
  name: 'start',
  title: 'Start of an application, from the first import to listening',
  unit: 'CPU milliseconds',
  better: 'less',
  contenders: [start(ours, 'ours.js'), start(bare, 'fastify-websocket.js')],
  control: bare,
  goals: [
    { work: 'start of an application, CPU / @fastify/websocket', figure: ours, against: bare, must: 1.35, aim: 1.2 }
  ]
}
