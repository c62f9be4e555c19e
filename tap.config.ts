import { fileURLToPath, pathToFileURL } from 'node:url'

// The one place for tap's settings, by tap's names (https://node-tap.org/config/); scripts/test.ts reads it.

// tap resolves paths against the file that it reads, which is a copy of this one in another folder.
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const settings: Readonly<Record<string, string | number | boolean | readonly string[]>> = {
  // tap's TypeScript plugin needs the compiler's JavaScript API, which TypeScript 7 does not have. The plugin for mocks
  // adds hooks to every import of every test, a tenth of a start, and no test uses it.
  plugin: ['!@tapjs/typescript', '!@tapjs/mock'],
  // In Node 20 the mock timers of node:test are experimental, and each file would print a warning.
  'node-arg': [`--import=${pathToFileURL(here('scripts/typescript.js'))}`, '--disable-warning=ExperimentalWarning'],
  include: ['test/**/*.test.ts'],
  // Each file is a process of its own.
  jobs: 2,
  // Seconds for a file. The longest take one minute; on a machine with other work several times that.
  timeout: 480,
  // A test that did not run proves nothing.
  'fail-skip': true,
  'fail-todo': true,
  reporter: here('scripts/reporter.ts'),
  // All of lib, and nothing else: tests and the demo do not count.
  'coverage-map': here('scripts/coverage.ts'),
  'coverage-report': ['text'],
  statements: 100,
  branches: 100,
  functions: 100,
  lines: 100
}

export default settings
