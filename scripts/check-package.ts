// Installs the packed package into a new project, as an application gets it, and uses it there in JavaScript and with
// several versions of TypeScript. It needs the npm registry and some minutes, so `npm test` does not run it.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './run.ts'

const VERSIONS = ['5.6', '5.8', '5.9', '6', '7']
const STRICT = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false', '--types', 'node']

const MAIN = `
async function main() {
  const app = Fastify()
  await app.register(jwt, { secret: 'only for this check' })
  await app.register(realtime, { redis: process.env.NO_REDIS_URL })
  app.ws('/hello', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson({ message, from: socket.user?.sub })
  })
  app.get('/raw', { websocket: true }, (socket) => socket.sendJson('hello'))
  const socket = await connect(app, '/hello', { token: await testToken(app, { sub: 'ada' }) })
  socket.send('hi')
  console.log(await socket.next(), forbidden() instanceof ChannelError, shouldReconnect(1012), typeof createPublisher)
  await disposeAll(app)
  await app.close()
}
void main()
`
const MODULE = `
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import realtime, { ChannelError, forbidden } from 'fastify-realtime'
import { shouldReconnect } from 'fastify-realtime/client'
import { createPublisher } from 'fastify-realtime/publisher'
import { connect, disposeAll, testToken } from 'fastify-realtime/testing'
${MAIN}`
const COMMONJS = `
const jwt = require('@fastify/jwt')
const Fastify = require('fastify')
const realtime = require('fastify-realtime')
const { ChannelError, forbidden } = realtime
const { shouldReconnect } = require('fastify-realtime/client')
const { createPublisher } = require('fastify-realtime/publisher')
const { connect, disposeAll, testToken } = require('fastify-realtime/testing')
${MAIN}`
const PRINTED = "{ message: 'hi', from: 'ada' } true true function\n"

const folder = mkdtempSync(join(tmpdir(), 'fastify-realtime-'))
let failures = 0
try {
  // The build that comes before prints too; npm prints the name of the tarball last.
  const tarball = run('npm', ['pack', '--pack-destination', folder], root).trim().split('\n').at(-1)
  const manifest = { name: 'check', private: true, type: 'commonjs' }
  write('package.json', JSON.stringify(manifest))
  const compilers = VERSIONS.map((version) => `typescript-${version}@npm:typescript@${version}`)
  const packages = [`./${tarball}`, 'fastify', '@fastify/jwt', '@types/node@20', '@types/ws', ...compilers]
  run('npm', ['install', '--no-audit', '--no-fund', ...packages])
  write('app.mjs', MODULE)
  write('app.cjs', COMMONJS)
  check('JavaScript, ES module', () => prints('app.mjs'))
  check('JavaScript, CommonJS', () => prints('app.cjs'))
  for (const version of VERSIONS) tryCompiler(version)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(failures === 0 ? 'The package works in all of them.' : `${failures} failed.`)
process.exitCode = failures === 0 ? 0 : 1

function tryCompiler(version: string): void {
  const at = `ts-${version}`
  const compile = (options: readonly string[], file: string) =>
    run(process.execPath, [`node_modules/typescript-${version}/bin/tsc`, ...STRICT, ...options, join(at, file)])
  mkdirSync(join(folder, at, 'bundled'), { recursive: true })
  for (const file of ['esm.mts', 'cjs.cts', 'old.ts', 'bundled/app.ts']) write(join(at, file), MODULE)
  write(join(at, 'bundled/package.json'), '{ "type": "module" }')
  check(`TypeScript ${version}, nodenext, ES module`, () => {
    compile(['--module', 'nodenext', '--target', 'es2022'], 'esm.mts')
    prints(join(at, 'esm.mjs'))
  })
  check(`TypeScript ${version}, bundler`, () => {
    compile(['--module', 'esnext', '--moduleResolution', 'bundler', '--target', 'es2022'], 'bundled/app.ts')
    prints(join(at, 'bundled/app.js'))
  })
  // Before 5.8 TypeScript lets no CommonJS file import an ES module.
  if (version !== '5.6') {
    check(`TypeScript ${version}, nodenext, CommonJS`, () => {
      compile(['--module', 'nodenext', '--target', 'es2022'], 'cjs.cts')
      prints(join(at, 'cjs.cjs'))
    })
  }
  // Deprecated in 6 and removed in 7.
  if (version.startsWith('5')) {
    check(`TypeScript ${version}, node10, CommonJS`, () => {
      const options = [
        '--module',
        'commonjs',
        '--moduleResolution',
        'node10',
        '--esModuleInterop',
        '--target',
        'es2022'
      ]
      compile(options, 'old.ts')
      prints(join(at, 'old.js'))
    })
  }
}

function check(what: string, attempt: () => void): void {
  try {
    attempt()
    console.log(`ok      ${what}`)
  } catch (error) {
    failures++
    console.log(`failed  ${what}\n${(error as Error).message}`)
  }
}

function prints(file: string): void {
  const printed = run(process.execPath, [file])
  if (printed !== PRINTED) throw new Error(`It printed ${printed}`)
}

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text)
}

/** What a command printed. Throws with all of it if the command failed. */
function run(command: string, args: readonly string[], cwd = folder): string {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`)
  }
}
