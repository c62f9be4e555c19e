import { cpSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { root, runBin } from './run.ts'

/*
 * Builds the package: `build.ts [folder]`, `dist` unless told.
 */
const out = resolve(root, process.argv[2] ?? 'dist')

rmSync(out, { recursive: true, force: true })
if (!runBin('tsc', ['-p', 'tsconfig.build.json', '--outDir', out])) process.exit(1)
// Scripts are read at run time from beside the module that loads them; tsc copies only what it compiles.
cpSync(join(root, 'lib/broker/lua'), join(out, 'broker/lua'), { recursive: true })
