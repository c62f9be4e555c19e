// How scripts start programs: in the repository's root, from node_modules without the start of npx.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The repository's root, with its trailing slash. */
export const root = fileURLToPath(new URL('../', import.meta.url))

/** Runs a command in the repository's root, with this process's output. True if it exited with 0. */
export function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): boolean {
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' })
  if (error) console.error(`${command}: ${error.message}`)
  return status === 0
}

/** Runs a script that may be TypeScript, as may what it imports. */
export function runNode(args: readonly string[], env?: NodeJS.ProcessEnv): boolean {
  return run(process.execPath, ['--import=./scripts/typescript.js', ...args], env)
}

/** Runs a command line tool among the dev dependencies. */
export function runBin(name: string, args: readonly string[], env?: NodeJS.ProcessEnv): boolean {
  return run(`${root}node_modules/.bin/${name}`, args, env)
}
