import { register } from 'node:module'

/*
 * `node --import=./scripts/typescript.js file.ts` runs TypeScript on every Node that the package supports (Node 20
 * can't by itself). Why not a compiler: see typescript-hooks.js.
 */
register('./typescript-hooks.js', import.meta.url)
