import { fileURLToPath, pathToFileURL } from 'node:url'
import type { TapSettings } from './scripts/tap-settings.ts'

/*
 * How the tests are run: the one place for tap's settings, which `npm test` reads (scripts/test.ts), with tap's own
 * names (https://node-tap.org/config/).
 */
// tap takes paths as relative to the file that it reads, which is a copy of this one in another folder.
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const settings: TapSettings = {
  // tap's TypeScript plugin needs the compiler's JavaScript API, which TypeScript 7 has not.
  plugin: ['!@tapjs/typescript'],
  // What is experimental: the timers that tests have stand still, in Node 20; it would say so once a file.
  'node-arg': [`--import=${pathToFileURL(here('scripts/typescript.js'))}`, '--disable-warning=ExperimentalWarning'],
  include: ['test/**/*.test.ts'],
  // Each file is a process of its own; more at once than cores would make the tests that measure time lie.
  jobs: 2,
  // Seconds for a file. The longest take one minute; on a machine with other work several times that.
  timeout: 480,
  // A test that did not run proves nothing.
  'fail-skip': true,
  'fail-todo': true,
  reporter: here('scripts/reporter.ts'),
  // Every file of lib, wholly; and nothing else (the tests, the demo) counts as covered code.
  'coverage-map': here('scripts/coverage-map.ts'),
  'coverage-report': ['text'],
  statements: 100,
  branches: 100,
  functions: 100,
  lines: 100
}

export default settings
