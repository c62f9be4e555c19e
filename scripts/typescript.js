// `node --import=./scripts/typescript.js file.ts` runs TypeScript on Node 20 too: see typescript-hooks.js.
import { register } from 'node:module'

register('./typescript-hooks.js', import.meta.url)
