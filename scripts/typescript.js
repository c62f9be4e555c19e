// `node --import=./scripts/typescript.js file.ts` runs TypeScript on Node 20 too: see typescript-hooks.js.
import module from 'node:module'

// Node 26 warns of `register` in every process, and Node 20 has nothing else.
if (module.registerHooks) module.registerHooks(await import('./typescript-hooks.js'))
else module.register('./typescript-hooks.js', import.meta.url)
