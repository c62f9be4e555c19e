import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/* What the tests of the documentation read: its pages, their tables and their examples. */

export const root = join(import.meta.dirname, '..', '..')

/** Every page in English, by its path in the repository. */
export function pages(): string[] {
  const inDocs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  const docs = inDocs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)
  return ['README.md', 'SECURITY.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...docs.sort()]
}

/** Pages in other languages. Their examples are those of the page that they translate: see translations.test.ts. */
export const translations = ['README.zh-CN.md']

export function read(page: string): string {
  return readFileSync(join(root, page), 'utf8')
}

/** The first table of a page that has this column first, row by row, by the columns' names. */
export function table(page: string, firstColumn: string): Record<string, string>[] {
  const lines = read(page).split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${firstColumn} |`))
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
  const [names = [], , ...rows] = lines.slice(start, end).map(cells)
  return rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index] ?? ''])))
}

function cells(line: string): string[] {
  return line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim())
}

/** What stands in a cell between backquotes, and undefined where nothing does. */
export function code(cell = ''): string | undefined {
  return /^`([^`]*)`$/.exec(cell)?.[1]
}

export interface Example {
  /** `ts` or `js`. */
  readonly language: string
  readonly source: string
  /** Page and line, for messages. */
  readonly place: string
  /** The heading it stands under. */
  readonly heading: string
}

/** The blocks of a page in one of these languages. */
export function examples(page: string, languages: readonly string[]): Example[] {
  const text = read(page)
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(({ 1: language = '', 2: source = '', index }) => {
    if (!languages.includes(language)) return []
    const before = text.slice(0, index)
    const heading = before.match(/^#+ .*$/gm)?.at(-1) ?? ''
    return [{ language, source, heading, place: `${page}:${before.split('\n').length}` }]
  })
}

/** The anchors that a page's headings make on GitHub. */
export function anchors(page: string): string[] {
  const text = read(page).replace(/^```.*?^```$/gms, '')
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-')
  )
}
