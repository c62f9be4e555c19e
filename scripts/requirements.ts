// Finds or installs what the tests need and npm cannot install: a Redis server and a browser.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/*
 * A program is found where it is; else installed, if that needs no question (Debian and Ubuntu, as root or with a sudo
 * that asks for no password); else there is an error that says what to install. Nothing is skipped: a run without them
 * would look like a run that passed.
 */

interface Requirement {
  readonly what: string
  /** Names of the program on PATH, the best first. */
  readonly programs: readonly string[]
  /** Paths to try if it is not on PATH. */
  readonly places: readonly string[]
  /** The variable that may hold its path, and then decides. */
  readonly variable: string
  readonly debian: string
  readonly brew: string
}

const redis: Requirement = {
  what: 'a Redis server',
  programs: ['redis-server'],
  places: [],
  variable: 'REDIS_SERVER_PATH',
  debian: 'redis-server',
  brew: 'redis'
}

const chromium: Requirement = {
  what: 'a Chromium browser',
  programs: ['chromium', 'chromium-browser', 'google-chrome'],
  places: ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'],
  variable: 'CHROMIUM_PATH',
  debian: 'chromium',
  brew: '--cask google-chrome'
}

/** Finds or installs everything. Returns the variables that hold the paths, for the tests. Throws otherwise. */
export function provideRequirements(): NodeJS.ProcessEnv {
  // A server at REDIS_URL is enough, but the tests that stop and restart Redis use their own if they can.
  const ownRedis = process.env.REDIS_URL ? find(redis) : provide(redis)
  return { ...(ownRedis ? { [redis.variable]: ownRedis } : {}), [chromium.variable]: provide(chromium) }
}

/** The browser's path, from the environment or PATH. Throws if there is none. */
export function chromiumPath(): string {
  return found(chromium)
}

/** The path of `redis-server`, from the environment or PATH. Throws if there is none. */
export function redisServerPath(): string {
  return found(redis)
}

function provide(requirement: Requirement): string {
  // A variable names one program: another one is no replacement for it.
  if (!find(requirement) && !process.env[requirement.variable]) install(requirement.debian)
  return found(requirement)
}

function found(requirement: Requirement): string {
  const path = find(requirement)
  if (path) return path
  const { what, debian, brew, variable } = requirement
  const given = process.env[variable]
  throw new Error(
    `The tests need ${what}${given ? `, and ${variable} names none: ${given}` : ''}. Install it (Debian, Ubuntu: ` +
      `apt-get install ${debian}; macOS: brew install ${brew}) or set ${variable} to its path.`
  )
}

function find({ programs, places, variable }: Requirement): string | undefined {
  const given = process.env[variable]
  if (given) return isExecutable(given) ? given : undefined
  const folders = (process.env.PATH ?? '').split(delimiter)
  const paths = programs.flatMap((program) => folders.map((folder) => join(folder, program)))
  return [...paths, ...places].find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Installs a Debian package, if that needs no question. It does not report a failure: `found` does. */
function install(name: string): void {
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (!succeeds([...sudo, 'apt-get', '--version'], 'ignore')) return
  console.log(`Installing ${name} with apt-get`)
  // RUNLEVEL=1: the package's scripts don't start its service; the tests start servers of their own.
  const apt = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1', 'apt-get', '-q', '-y']
  if (!succeeds([...apt, 'update'], 'inherit')) console.error('apt-get update failed; trying with the present lists')
  succeeds([...apt, 'install', '--no-install-recommends', name], 'inherit')
}

function succeeds([command = '', ...args]: readonly string[], stdio: 'ignore' | 'inherit'): boolean {
  return spawnSync(command, args, { stdio }).status === 0
}
