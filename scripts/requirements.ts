import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/*
 * What the tests need and npm can't bring: a Redis server and a browser. Found where they are, else installed where
 * that may be done without asking (Debian and Ubuntu, as root or with a sudo that wants no password), else an error
 * that says what to install. Never skipped: a run without them would look like a run that passed.
 */

interface Requirement {
  readonly what: string
  /** Names of the program on PATH, the best first. */
  readonly programs: readonly string[]
  /** Paths to try, when it is not on PATH. */
  readonly places: readonly string[]
  /** The variable that says where it is, and is believed. */
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

/** Finds or installs everything, and answers the environment that tells tests where it is. Throws otherwise. */
export function provideRequirements(): NodeJS.ProcessEnv {
  // A server at REDIS_URL will do, but the tests that stop and restart Redis use their own where they can.
  const ownRedis = process.env.REDIS_URL ? find(redis) : provide(redis)
  return { ...(ownRedis ? { [redis.variable]: ownRedis } : {}), [chromium.variable]: provide(chromium) }
}

/** The browser's path, from the environment or PATH. Throws where there is none. */
export function chromiumPath(): string {
  return found(chromium)
}

/** The path of `redis-server`, from the environment or PATH. Throws where there is none. */
export function redisServerPath(): string {
  return found(redis)
}

function provide(requirement: Requirement): string {
  // Whoever says where it is wants that one, and not another.
  if (!find(requirement) && !process.env[requirement.variable]) install(requirement.debian)
  return found(requirement)
}

function found(requirement: Requirement): string {
  const path = find(requirement)
  if (path) return path
  const { what, debian, brew, variable } = requirement
  const told = process.env[variable]
  throw new Error(
    `The tests need ${what}${told ? `, and ${variable} names none: ${told}` : ''}. Install it (Debian, Ubuntu: ` +
      `apt-get install ${debian}; macOS: brew install ${brew}) or set ${variable} to its path.`
  )
}

function find({ programs, places, variable }: Requirement): string | undefined {
  const told = process.env[variable]
  if (told) return isExecutable(told) ? told : undefined
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

/** Installs a Debian package, if that can be done without a question. Silent about why not: `found` says it all. */
function install(name: string): void {
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (!succeeds([...sudo, 'apt-get', '--version'], 'ignore')) return
  console.log(`Installing ${name} with apt-get`)
  // RUNLEVEL=1: the package's scripts don't start its service; the tests start servers of their own.
  const apt = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1', 'apt-get', '-q', '-y']
  if (!succeeds([...apt, 'update'], 'inherit')) console.error('apt-get update failed; trying with the lists there are')
  succeeds([...apt, 'install', '--no-install-recommends', name], 'inherit')
}

function succeeds([command = '', ...args]: readonly string[], stdio: 'ignore' | 'inherit'): boolean {
  return spawnSync(command, args, { stdio }).status === 0
}
