// What is published: which files, with which manifest, and what stands in the way of it.
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './run.ts'

/** The oldest version of Node that is supported, and the newest of each line. */
export const SUPPORTED_NODES: readonly string[] = ['20.19.0', '22', '24', '26']

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly files: readonly string[]
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly [key: string]: unknown
}

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
}

const ADDRESS = /^https:\/\/[a-z0-9.-]+\/[\w.-]+\/[\w.-]+$/i

/** The manifest with everything that needs the repository's address: `https://<host>/<owner>/<name>`. */
export function withAddress(manifest: Manifest, address: string): Manifest {
  return {
    ...manifest,
    repository: { type: 'git', url: `git+${address}.git` },
    bugs: { url: `${address}/issues` },
    homepage: `${address}#readme`
  }
}

export interface ReleaseState {
  readonly version: string
  /** The repository's address, from REPOSITORY_URL. */
  readonly address: string | undefined
  /** The tag that is released. */
  readonly tag: string | undefined
  readonly changelog: string
}

/** What stands in the way of a release, a sentence for each. Empty if it can be published. */
export function obstacles({ version, address, tag, changelog }: ReleaseState): string[] {
  const found: string[] = []
  if (!address) {
    found.push('REPOSITORY_URL is not set. The fields repository, bugs and homepage come from it.')
  } else if (!ADDRESS.test(address) || address.endsWith('.git')) {
    found.push(`REPOSITORY_URL must be https://<host>/<owner>/<name>. It is ${address}`)
  }
  if (tag !== `v${version}`) found.push(`The tag must be v${version}. It is ${tag || 'not set'}.`)
  if (!changelog.includes(`\n## [${version}] - 20`)) found.push(`CHANGELOG.md has no dated section for ${version}.`)
  return found
}

/**
 * Copies what npm packs into a folder, except `dist`, which is built there. With a README in another language beside it,
 * npm would show one of them on the package's page, whichever the file system names first.
 */
export function copyPackage(folder: string, manifest: Manifest): void {
  mkdirSync(folder, { recursive: true })
  for (const name of ['README.md', 'LICENSE', ...manifest.files]) {
    if (name !== 'dist' && existsSync(join(root, name))) {
      cpSync(join(root, name), join(folder, name), { recursive: true })
    }
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}
