import { readFileSync } from 'node:fs'

/**
 * The text of a script. The build replaces this module (`scripts/build-library.ts`) with one that contains all texts,
 * because a server that is bundled into one file has no `lua` folder beside it.
 */
export function luaSource(name: string): string {
  return readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')
}
