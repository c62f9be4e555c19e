// Builds the package: `build.ts [folder]`, by default `dist`. tsc does the most, but it can neither put the Lua scripts
// into the JavaScript nor make one file of the client.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { buildClient } from './build-client.ts'
import { root, runBin } from './run.ts'

const out = resolve(root, process.argv[2] ?? 'dist')

rmSync(out, { recursive: true, force: true })
if (!runBin('tsc', ['-p', 'tsconfig.build.json', '--outDir', out])) process.exit(1)
// The Lua scripts become part of the JavaScript, so that a bundle of a server contains them.
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
// The client is one file without imports. The declarations of its parts stay: its types refer to them.
const client = join(out, 'client')
for (const name of readdirSync(client)) if (!name.endsWith('.d.ts')) rmSync(join(client, name))
buildClient(join(client, 'index.js'))
