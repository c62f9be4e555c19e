import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { obstacles, readManifest, withAddress } from '../scripts/publication.ts'
import { root } from './docs/pages.ts'

/* What the release script refuses, and the manifest that it publishes. */

const READY = {
  version: '1.2.3',
  address: 'https://github.com/owner/name',
  tag: 'v1.2.3',
  changelog: '# Changelog\n\n## [1.2.3] - 2026-11-28\n'
}

t.test('nothing stands in the way of a release that is ready', async (t) => {
  t.same(obstacles(READY), [])
})

t.test('each obstacle is named', async (t) => {
  for (const [change, pattern] of [
    [{ address: undefined }, /REPOSITORY_URL is not set/],
    [{ address: '' }, /REPOSITORY_URL is not set/],
    [{ address: 'http://github.com/owner/name' }, /must be https/],
    [{ address: 'https://github.com/owner' }, /must be https/],
    [{ address: 'https://github.com/owner/name.git' }, /must be https/],
    [{ address: 'https://github.com/owner/name/' }, /must be https/],
    [{ tag: undefined }, /tag must be v1\.2\.3\. It is not set/],
    [{ tag: 'v1.2.4' }, /It is v1\.2\.4/],
    [{ changelog: '# Changelog\n\n## [Unreleased]\n' }, /no dated section for 1\.2\.3/],
    [{ changelog: '# Changelog\n\n## [11.2.3] - 2026-11-28\n' }, /no dated section for 1\.2\.3/]
  ] as const) {
    const found = obstacles({ ...READY, ...change })
    t.equal(found.length, 1)
    t.match(found[0], pattern)
  }
})

t.test('everything that needs an address comes from one setting', async (t) => {
  const manifest = readManifest()
  for (const key of ['repository', 'bugs', 'homepage']) t.notOk(key in manifest, key)
  t.equal(manifest.author, 'The fastify-realtime authors')
  const { repository, bugs, homepage, ...others } = withAddress(manifest, READY.address)
  t.same(others, manifest)
  t.same(repository, { type: 'git', url: 'git+https://github.com/owner/name.git' })
  t.same(bugs, { url: 'https://github.com/owner/name/issues' })
  t.equal(homepage, 'https://github.com/owner/name#readme')
})

t.test('npm publish by hand is refused', async (t) => {
  const { prepublishOnly } = readManifest().scripts as Record<string, string>
  const child = spawn('sh', ['-c', prepublishOnly as string], { stdio: ['ignore', 'ignore', 'pipe'] })
  const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  t.equal(code, 1)
  t.match(errors, 'npm run release')
})

t.test('without an address the script starts nothing', async (t) => {
  const folder = t.testdir({})
  const started = join(folder, 'started')
  writeFileSync(join(folder, 'npm'), `#!/bin/sh\ntouch ${started}\n`)
  chmodSync(join(folder, 'npm'), 0o755)
  const { REPOSITORY_URL: _, ...env } = process.env
  const child = spawn(process.execPath, [...process.execArgv, 'scripts/release.ts', '--dry-run'], {
    cwd: root,
    env: { ...env, PATH: `${folder}${delimiter}${process.env.PATH}` },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  t.equal(code, 1)
  t.match(errors, 'REPOSITORY_URL is not set')
  t.notOk(existsSync(started))
})
