import { readFileSync } from 'node:fs'

/**
 * The text of a script. The build puts another module in the place of this one (`scripts/build.ts`), which has the
 * texts in it: a server that was bundled into one file has no `lua` folder beside it.
 */
export function luaSource(name: string): string {
  return readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')
}
