import { posix } from 'node:path'

/*
 * Which part of lib may import which: the check behind test/layout.test.ts. Parts are the folders of lib and the files
 * beside them. It reads sources, since TypeScript 7 has no API and a bundler does not see imports of types. Types count:
 * a folder that names a type of another cannot be understood, or moved, without it.
 */

/**
 * What each part may import. A part may import only parts that stand above it here, so that arrows never go back; what
 * stands beside it in the list is what it needs.
 */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  'errors.ts': [],
  'dependencies.ts': ['errors.ts'],
  input: ['protocol', 'errors.ts'],
  options: ['protocol', 'errors.ts', 'input'],
  timing: ['errors.ts', 'input', 'options'],
  broker: ['protocol', 'errors.ts', 'dependencies.ts', 'input'],
  connection: ['protocol', 'input', 'options', 'timing'],
  hub: ['protocol', 'errors.ts', 'input', 'timing', 'broker', 'connection'],
  socket: ['protocol', 'errors.ts', 'dependencies.ts', 'input', 'options', 'timing', 'connection', 'hub'],
  session: ['protocol', 'input', 'options', 'timing', 'broker', 'connection', 'hub'],
  http: ['protocol', 'options', 'connection', 'session'],
  handshake: ['protocol', 'errors.ts', 'dependencies.ts', 'input', 'options', 'timing', 'broker', 'connection'],
  node: [
    'protocol',
    'errors.ts',
    'input',
    'options',
    'timing',
    'broker',
    'connection',
    'hub',
    'socket',
    'session',
    'http',
    'handshake'
  ],
  routes: [
    'protocol',
    'errors.ts',
    'input',
    'options',
    'timing',
    'broker',
    'connection',
    'socket',
    'session',
    'http',
    'handshake',
    'node',
    'dependencies.ts'
  ],
  'plugin.ts': ['errors.ts', 'input', 'options', 'http', 'handshake', 'node', 'dependencies.ts', 'routes'],
  'index.ts': ['protocol', 'options', 'connection', 'hub', 'socket', 'node', 'routes', 'plugin.ts'],
  'publisher.ts': ['protocol', 'errors.ts', 'input', 'options', 'broker', 'hub'],
  client: ['protocol'],
  testing: [],
  load: ['protocol', 'testing'],
  dashboard: ['errors.ts', 'dependencies.ts', 'input', 'timing', 'broker', 'handshake', 'node']
}
/** Files beside the folders: the doors, and what everybody needs. */
const MOST_AT_ROOT = 6
/** Parts that run anywhere: no packages, nothing of Node's. */
const pure = ['protocol', 'client']
/** Parts with an entry point of their own. */
const apart = ['client', 'testing', 'load', 'dashboard']
const vague = /^(utils?|helpers?|misc)$/

/** Every import and re-export, of values and of types, of a source formatted by Biome: quotes are single. */
export function importsOf(source: string): string[] {
  const statements = source.matchAll(/^(?:import|export) (?:type )?(?:[\w\s*{},$]+? from )?'([^']+)'/gm)
  const dynamic = source.matchAll(/\bimport\('([^']+)'\)/g)
  return [...statements, ...dynamic].map(([, specifier = '']) => specifier)
}

/** Says what is wrong with sources by their paths in lib (`socket/inbox.ts`); nothing is good. */
export function violations(sources: ReadonlyMap<string, string>): string[] {
  const found: string[] = []
  const graph = new Map<string, string[]>()
  for (const [file, source] of sources) {
    const part = partOf(file)
    if (ROOMS[part] === undefined) found.push(`${file}: no such place in the layout`)
    if (file.split('/').some((name) => vague.test(name.split('.', 1)[0] ?? ''))) {
      found.push(`${file}: name it for what it does`)
    }
    const loaded: string[] = []
    for (const specifier of importsOf(source)) {
      const local = specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : undefined
      const wrong = local ? !isAllowed(part, partOf(local)) : pure.includes(part)
      if (wrong) found.push(`${file}: may not import '${specifier}'`)
      if (local) loaded.push(local)
    }
    graph.set(file, loaded)
  }
  const atRoot = [...sources.keys()].filter((file) => !file.includes('/'))
  if (atRoot.length > MOST_AT_ROOT) found.push(`${atRoot.length} files beside the folders: ${MOST_AT_ROOT} at most`)
  return [...found, ...cycles(graph), ...sharedNames(sources)]
}

/** Parts that could be taken out of the table: nothing imports so. */
export function unusedRows(sources: ReadonlyMap<string, string>): string[] {
  const used = new Set<string>()
  for (const [file, source] of sources) {
    for (const specifier of importsOf(source)) {
      if (specifier.startsWith('.')) used.add(`${partOf(file)} → ${partOf(posix.join(posix.dirname(file), specifier))}`)
    }
  }
  return Object.entries(ROOMS)
    .flatMap(([from, parts]) => parts.map((to) => `${from} → ${to}`))
    .filter((arrow) => !used.has(arrow))
}

/**
 * Exports that nothing needs, as `file: name`. A type that its own file's exports mention may be exported for them, and
 * a value that its own file uses for a test. What only a test uses is dead.
 * @param doors Files whose exports are for others.
 * @param tests Sources of tests, by their paths beside lib (`../test/a.test.ts`).
 */
export function deadExports(
  sources: ReadonlyMap<string, string>,
  doors: readonly string[],
  tests: ReadonlyMap<string, string>
): string[] {
  const byLibrary = namesImported(sources)
  const byTests = namesImported(tests)
  return [...sources].flatMap(([file, source]) => {
    if (doors.includes(file) || byLibrary.has(`${file}: *`)) return []
    const dead = exportsOf(source).filter(({ name, isType }) => {
      const entry = `${file}: ${name}`
      const isUsedHere = [...source.matchAll(new RegExp(`\\b${name}\\b`, 'g'))].length > 1
      return !byLibrary.has(entry) && !(isUsedHere && (isType || byTests.has(entry)))
    })
    return dead.map(({ name }) => `${file}: ${name}`)
  })
}

function namesImported(sources: ReadonlyMap<string, string>): Set<string> {
  const found = new Set<string>()
  const some = /^(?:import|export) (?:type )?(?:\w+, )?\{([^}]*)\} from '(\.[^']+)'/gm
  const all = /^(?:import|export) (?:type )?\*[^']*from '(\.[^']+)'/gm
  for (const [file, source] of sources) {
    const target = (specifier = '') => posix.join(posix.dirname(file), specifier)
    for (const [, names = '', specifier] of source.matchAll(some)) {
      for (const name of names.split(',')) {
        found.add(
          `${target(specifier)}: ${
            name
              .trim()
              .replace(/^type /, '')
              .split(' as ', 1)[0]
          }`
        )
      }
    }
    for (const [, specifier] of source.matchAll(all)) found.add(`${target(specifier)}: *`)
  }
  return found
}

function exportsOf(source: string): { readonly name: string; readonly isType: boolean }[] {
  const found = source.matchAll(/^export (?:async )?(?:abstract )?(function|class|const|interface|type) (\w+)/gm)
  return Array.from(found, ([, kind = '', name = '']) => ({ name, isType: kind === 'interface' || kind === 'type' }))
}

/** A name means one thing: what two parts export under one name is two things to whoever reads it. */
function sharedNames(sources: ReadonlyMap<string, string>): string[] {
  const owners = new Map<string, string[]>()
  for (const [file, source] of sources) {
    // They are packages of their own for those who import them, with an API that says connect and options too.
    if (apart.includes(partOf(file))) continue
    for (const { name } of exportsOf(source)) owners.set(name, [...(owners.get(name) ?? []), file])
  }
  return [...owners].flatMap(([name, files]) =>
    files.length > 1 ? [`${name}: exported by ${files.join(' and ')}`] : []
  )
}

function partOf(file: string): string {
  return file.split('/', 1)[0] ?? file
}

function isAllowed(from: string, to: string): boolean {
  return from === to || (ROOMS[from] ?? []).includes(to)
}

/** Cycles of modules: what is in a circle can be read, tested and changed as a whole only. */
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
