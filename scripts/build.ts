import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { buildClient } from './build-client.ts'
import { root, runBin } from './run.ts'

/*
 * Builds the package: `build.ts [folder]`, `dist` unless told.
 */
const out = resolve(root, process.argv[2] ?? 'dist')

rmSync(out, { recursive: true, force: true })
if (!runBin('tsc', ['-p', 'tsconfig.build.json', '--outDir', out])) process.exit(1)
// The Lua scripts become part of the JavaScript: whatever bundles a server takes them along.
const lua = join(root, 'lib/broker/lua')
const sources = readdirSync(lua).map((file) => [basename(file, '.lua'), readFileSync(join(lua, file), 'utf8')])
writeFileSync(
  join(out, 'broker/lua-source.js'),
  `const SOURCES = ${JSON.stringify(Object.fromEntries(sources), null, 2)}
export function luaSource(name) {
  return SOURCES[name]
}
`
)
rmSync(join(out, 'broker/lua-source.js.map'), { force: true })
// A page may load it as it is: one file without imports. What it is made of is there as types only.
const client = join(out, 'client')
for (const name of readdirSync(client)) if (!name.endsWith('.d.ts')) rmSync(join(client, name))
buildClient(join(client, 'index.js'))
