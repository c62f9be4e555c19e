import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../../../scripts/run.ts'
import { contender, type Row } from '../row.ts'

const execute = promisify(execFile)
const BESIDE = ['fastify', '@fastify/jwt']
const ours = 'fastify-realtime'
const bare = '@fastify/websocket'
const MIB = 1_048_576
// Bytes of what `stat` counts as a block.
const BLOCK = 512

/** Installs the packages into an empty folder and adds up what the files take on the disk. */
async function sizeOf(folder: string, packages: readonly string[]): Promise<number> {
  await writeFile(join(folder, 'package.json'), '{ "private": true }')
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock']
  await execute('npm', ['install', ...options, ...packages], { cwd: folder })
  const modules = join(folder, 'node_modules')
  const entries = await readdir(modules, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(
    files.map(async (file) => (await stat(join(file.parentPath, file.name))).blocks * BLOCK)
  )
  return sizes.reduce((sum, size) => sum + size, 0) / MIB
}

async function inFolder<Result>(task: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'fastify-realtime-size-'))
  try {
    return await task(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function pack(folder: string): Promise<string> {
  const { stdout } = await execute('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root })
  return join(folder, stdout.trim().split('\n').at(-1) as string)
}

/** Asks the package registry, so it needs a network. */
export const size: Row = {
  name: 'size',
  title: 'Installed size, with fastify and @fastify/jwt',
  unit: 'MB',
  better: 'less',
  long: true,
  contenders: [
    contender(ours, () =>
      inFolder(async (folder) => ({ value: await sizeOf(folder, [await pack(folder), ...BESIDE]), contention: 0 }))
    ),
    contender(bare, () =>
      inFolder(async (folder) => ({ value: await sizeOf(folder, [bare, ...BESIDE]), contention: 0 }))
    )
  ],
  control: bare,
  goals: [{ work: 'installed size, MB', figure: ours, must: 22, aim: 20 }]
}
