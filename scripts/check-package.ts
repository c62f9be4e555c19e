// Checks the packed package as applications get it: publint and attw read it, and new projects install it and use it in
// JavaScript and with several versions of TypeScript, on each supported version of Node. It also checks that `npm ci`
// warns of nothing. It needs the npm registry and some minutes, so `npm test` does not run it.
// `check-package.ts [folder]`: a folder that is ready to be published; by default, one is prepared.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { copyPackage, readManifest, SUPPORTED_NODES } from './publication.ts'
import { root } from './run.ts'

const COMPILERS = ['5.6', '5.8', '5.9', '6', '7']
// Tools that only this script needs are fetched when it runs: attw alone is 38 MB.
const TOOLS: readonly (readonly string[])[] = [
  ['publint@0.3', '--strict'],
  // `require` loads the ES module in every supported version of Node. attw does not know the version.
  ['@arethetypeswrong/cli@0.18', '--ignore-rules', 'cjs-resolves-to-esm']
]
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
/** A server that the command of the package loads for two seconds. */
const LOADED = `
import { spawn } from 'node:child_process'
import Fastify from 'fastify'
import realtime from 'fastify-realtime'
const app = Fastify()
await app.register(realtime, { auth: false })
app.get('/echo', { websocket: true }, (socket) => socket.on('message', (data) => socket.send(String(data))))
await app.listen({ port: 0, host: '127.0.0.1' })
const address = 'ws://127.0.0.1:' + app.server.address().port + '/echo'
const line = ['--no-install', 'fastify-realtime', 'load', address, '--duration', '2', '--expect', 'lost=0']
spawn('npx', [...line, '--expect', 'delivered>0', '--report', 'load.html'], { stdio: 'inherit' }).on('exit', (status) => {
  process.exitCode = status
  return app.close()
})
`
const PRINTED = "{ message: 'hi', from: 'ada' } true true function\n"

const folder = mkdtempSync(join(tmpdir(), 'fastify-realtime-'))
const nodes = new Map<string, string>()
let failures = 0
try {
  const prepared = process.argv[2] ?? prepare()
  const tarball = `./${run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder, prepared]).trim()}`
  for (const [tool = '', ...options] of TOOLS) {
    check(tool, () => run('npx', ['--yes', tool, tarball, ...options]))
  }
  for (const version of SUPPORTED_NODES) check(`Node ${version}`, () => installNode(version))
  for (const [version, node] of nodes) check(`Node ${version}, npm ci without a warning`, () => installsQuietly(node))

  write('package.json', JSON.stringify({ name: 'check', private: true, type: 'commonjs' }))
  const compilers = COMPILERS.map((version) => `typescript-${version}@npm:typescript@${version}`)
  const packages = [tarball, 'fastify', '@fastify/jwt', '@types/node@20', '@types/ws', ...compilers]
  run('npm', ['install', '--no-audit', '--no-fund', ...packages])
  write('app.mjs', MODULE)
  write('app.cjs', COMMONJS)
  check('JavaScript, ES module', () => prints('app.mjs'))
  check('JavaScript, CommonJS', () => prints('app.cjs'))
  write('load.mjs', LOADED)
  check('The command', () => loads())
  for (const version of COMPILERS) tryCompiler(version)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(failures === 0 ? 'The package works in all of them.' : `${failures} failed.`)
process.exitCode = failures === 0 ? 0 : 1

/** The npm package `node` has the programs. */
function installNode(version: string): void {
  const at = join('node', version)
  mkdirSync(join(folder, at), { recursive: true })
  write(join(at, 'package.json'), '{ "private": true }')
  run('npm', ['install', '--no-audit', '--no-fund', `node@${version}`], join(folder, at))
  const node = join(folder, at, 'node_modules/node/bin/node')
  const found = run(node, ['--version']).trim()
  if (!`${found}.`.startsWith(`v${version}.`)) throw new Error(`It is ${found}`)
  nodes.set(version, node)
}

/** npm reads the lock file as this version of Node, and names what it would warn of. */
function installsQuietly(node: string): void {
  const copy = join(folder, 'clone')
  mkdirSync(copy, { recursive: true })
  for (const name of ['package.json', 'package-lock.json', '.npmrc']) cpSync(join(root, name), join(copy, name))
  const path = `${dirname(node)}${delimiter}${process.env.PATH}`
  const printed = run('sh', ['-c', 'npm ci --dry-run --no-audit 2>&1'], copy, { ...process.env, PATH: path })
  const warnings = printed.split('\n').filter((line) => line.startsWith('npm warn'))
  if (warnings.length > 0) throw new Error(warnings.join('\n'))
}

function prepare(): string {
  const at = join(folder, 'package')
  copyPackage(at, readManifest())
  run(process.execPath, ['--import=./scripts/typescript.js', 'scripts/build.ts', join(at, 'dist')], root)
  return at
}

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

function loads(): void {
  const help = run('npx', ['--no-install', 'fastify-realtime', 'load', '--help'])
  if (!help.startsWith('Usage: fastify-realtime load')) throw new Error(help)
  const printed = run(process.execPath, ['load.mjs'])
  if (!printed.includes('held: lost=0')) throw new Error(printed)
}

/** The file works on every version of Node. */
function prints(file: string): void {
  for (const [version, node] of nodes) {
    const printed = run(node, [file])
    if (printed !== PRINTED) throw new Error(`Node ${version} printed ${printed}`)
  }
}

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text)
}

/** What a command printed. Throws with all of it if the command failed. */
function run(command: string, args: readonly string[], cwd = folder, env: NodeJS.ProcessEnv = process.env): string {
  try {
    return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`)
  }
}
