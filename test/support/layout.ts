import { posix } from 'node:path'

/*
 * Which part of lib may import which: the check behind test/layout.test.ts. Parts are the folders of lib and the
 * files beside them. It reads sources, since TypeScript 7 has no API and a bundler does not see imports of types,
 * which may not go upward either.
 */

/** What every part may know, but those that run in a browser. */
const shared = ['errors.ts', 'claims.ts', 'options.ts', 'types.ts']

/** What a part may import of the others. The rest of the files beside the folders compose, and may import any. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  client: ['protocol'],
  broker: ['protocol', ...shared],
  socket: ['protocol', ...shared],
  handshake: ['protocol', 'broker', 'socket', ...shared],
  channels: ['protocol', 'broker', 'socket', ...shared],
  'errors.ts': ['protocol'],
  'claims.ts': [],
  'options.ts': ['protocol', 'claims.ts', 'errors.ts', 'types.ts']
}
const folders = ['protocol', 'client', 'broker', 'socket', 'handshake', 'channels', 'testing']
/** Who may import the parts that sit on top of all others. */
const importers: Readonly<Record<string, readonly string[]>> = {
  'plugin.ts': ['index.ts', 'testing'],
  'index.ts': ['testing'],
  testing: []
}
/** Parts that run anywhere: no packages, nothing of Node's. */
const pure = ['protocol', 'client']
const vague = /^(utils?|helpers?|misc)$/

interface Import {
  readonly specifier: string
  readonly typeOnly: boolean
}

/**
 * Every import and re-export of a source formatted by Biome: statements start a line, quotes are single. Only
 * `import type` is of types: `import { type A }` still loads the module, since TypeScript leaves `import {}` of it.
 */
export function importsOf(source: string): Import[] {
  const statements = source.matchAll(/^(?:import|export) (type )?(?:[\w\s*{},$]+? from )?'([^']+)'/gm)
  const dynamic = source.matchAll(/\bimport\('([^']+)'\)/g)
  return [
    ...Array.from(statements, ([, type, specifier = '']) => ({ specifier, typeOnly: type !== undefined })),
    // Loaded when called, if ever: it makes no cycle at load time.
    ...Array.from(dynamic, ([, specifier = '']) => ({ specifier, typeOnly: true }))
  ]
}

/** Says what is wrong with sources by their paths in lib (`socket/inbox.ts`); nothing is good. */
export function violations(sources: ReadonlyMap<string, string>): string[] {
  const found: string[] = []
  const values = new Map<string, string[]>()
  for (const [file, source] of sources) {
    const part = partOf(file)
    if (!part.endsWith('.ts') && !folders.includes(part)) found.push(`${file}: no such folder in the layout`)
    if (file.split('/').some((name) => vague.test(name.split('.', 1)[0] ?? ''))) {
      found.push(`${file}: name it for what it does`)
    }
    const loaded: string[] = []
    for (const { specifier, typeOnly } of importsOf(source)) {
      const local = specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : undefined
      const wrong = local ? wrongPart(part, partOf(local), typeOnly) : pure.includes(part)
      if (wrong) found.push(`${file}: may not import '${specifier}'`)
      if (local && !typeOnly) loaded.push(local)
    }
    values.set(file, loaded)
  }
  return [...found, ...cycles(values)]
}

function partOf(file: string): string {
  return file.split('/', 1)[0] ?? file
}

function wrongPart(from: string, to: string, typeOnly: boolean): boolean {
  if (from === to) return false
  // Fastify's augmentation names types of every part; as values they would make a knot of the library.
  if (from === 'types.ts') return !typeOnly || to in importers
  return (importers[to] && !importers[to].includes(from)) || (allowed[from] && !allowed[from].includes(to)) || false
}

/** Cycles among modules that are loaded: their order, and so what is undefined when, is then anyone's guess. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      found.push(`import cycle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`)
    } else if (!done.has(file)) {
      for (const next of graph.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
  }
  for (const file of graph.keys()) visit(file, [])
  return found
}
