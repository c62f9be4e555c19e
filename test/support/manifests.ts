import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { read, root } from '../docs/pages.ts'

const folder = 'demo/examples/kubernetes'

/** The manifests of the example for Kubernetes, by their kind. A file that is not valid YAML throws. */
// biome-ignore lint/suspicious/noExplicitAny: their types are checked by tsc, in test/demo/examples/kubernetes.test.ts
export function manifests(): Readonly<Record<string, any>> {
  const names = readdirSync(join(root, folder)).filter((name) => name.endsWith('.yaml'))
  const documents = names.flatMap((name) => parseAllDocuments(read(`${folder}/${name}`)))
  return Object.fromEntries(
    documents.map((document) => {
      const fault = document.errors[0] ?? document.warnings[0]
      if (fault !== undefined) throw fault
      const manifest = document.toJS()
      return [manifest.kind, manifest]
    })
  )
}
