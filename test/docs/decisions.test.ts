import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { read, root } from './pages.ts'

/* The pages of docs/decisions. That their links lead somewhere is tested with those of the other pages. */

const FOLDER = 'docs/decisions'
const STATUS = /^Status: (?:accepted|replaced by \[[^\]]+\]\([^)]+\)), (20\d\d-[01]\d-[0-3]\d)\.(?: .*)?$/
const names = readdirSync(join(root, FOLDER)).sort()
const lines = new Map(names.map((name) => [name, read(`${FOLDER}/${name}`).split('\n')]))

/** The pages that the status of a page names with these words, as files. */
function related(name: string, words: RegExp): string[] {
  const [, , status = ''] = lines.get(name) ?? []
  const [, list = ''] = words.exec(status) ?? []
  return [...list.matchAll(/\]\(([^)]+)\)/g)].map(([, file = '']) => file)
}

const replacedBy = (name: string) => related(name, /[Rr]eplaced (?:in part )?by ((?:[^.]|\.md)+)/)
const replaces = (name: string) => related(name, /Replaces (?:parts of )?((?:[^.]|\.md)+)/)

t.test('each is named and titled by its number, and has a status and a date', async (t) => {
  for (const [name, [title = '', , status = '']] of lines) {
    t.match(name, /^\d{4}-[a-z0-9-]+\.md$/)
    t.ok(title.startsWith(`# ${name.slice(0, 4)}: `), `${name}: ${title}`)
    const [, date = ''] = STATUS.exec(status) ?? []
    t.equal(new Date(date || 0).toISOString().slice(0, 10), date, `${name}: ${status}`)
  }
  const numbers = names.map((name) => name.slice(0, 4))
  t.same([...new Set(numbers)], numbers, 'no number is given twice')
})

t.test('what replaces another, and what is replaced, name each other', async (t) => {
  const forward = names.flatMap((name) => replacedBy(name).map((other) => `${name} by ${other}`))
  const back = names.flatMap((name) => replaces(name).map((other) => `${other} by ${name}`))
  t.ok(forward.includes('0005-applications-own-fastify-websocket.md by 0030-whose-upgrade-it-is.md'))
  t.same(forward.sort(), back.sort())
})

t.test('what replaces another is not older than it', async (t) => {
  const dateOf = (name: string) => STATUS.exec(lines.get(name)?.[2] ?? '')?.[1] ?? ''
  for (const name of names) {
    for (const other of replacedBy(name)) {
      t.ok(dateOf(other) >= dateOf(name), `${other} of ${dateOf(other)} replaces ${name} of ${dateOf(name)}`)
    }
  }
})

t.test('what is replaced in part says what, or where that is written', async (t) => {
  for (const name of names) {
    for (const other of replacedBy(name)) {
      const rest = lines.get(name)?.slice(3).join('\n') ?? ''
      t.ok(rest.includes(`](${other})`), `${name} says nothing about ${other}`)
    }
  }
})
