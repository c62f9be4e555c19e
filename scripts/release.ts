// `npm run release`: publishes the package with provenance. The workflow release.yml runs it. Arguments (`--dry-run`)
// go to `npm publish`. It reads REPOSITORY_URL, the repository's address, and GITHUB_REF_NAME, the tag.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { copyPackage, obstacles, readManifest, withAddress } from './publication.ts'
import { root, run, runNode } from './run.ts'

const manifest = readManifest()
const { REPOSITORY_URL: address, GITHUB_REF_NAME: tag } = process.env
const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
const found = obstacles({ version: manifest.version, address, tag, changelog })
for (const sentence of found) console.error(sentence)
process.exitCode = found.length === 0 && publish(withAddress(manifest, address as string)) ? 0 : 1

function publish(complete: typeof manifest): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'fastify-realtime-release-'))
  try {
    copyPackage(folder, complete)
    const options = ['--provenance', '--access', 'public', '--ignore-scripts', ...process.argv.slice(2)]
    return (
      runNode(['scripts/build.ts', join(folder, 'dist')]) &&
      runNode(['scripts/check-package.ts', folder]) &&
      run('npm', ['publish', folder, ...options])
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
