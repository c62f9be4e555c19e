import type { FastifyError } from 'fastify'
import t from 'tap'
import * as errors from '../../lib/errors.ts'
import { read } from './pages.ts'

/* docs/errors.md against lib/errors.ts: every coded error under its own heading, with its status where it has one. */

const sections = new Map(
  read('docs/errors.md')
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [heading = '', ...lines] = section.split(/^## /m)[0]?.split('\n') ?? []
      return [heading, lines.join('\n').trim()]
    })
)
const coded = Object.values(errors).map((Coded) => new (Coded as new (...words: string[]) => FastifyError)('', ''))

t.test('every error has a section, and every section an error', async (t) => {
  t.same([...sections.keys()].sort(), coded.map(({ code }) => code).sort())
  for (const [code, text] of sections) t.ok(text, code)
})

t.test("a refused handshake's section opens with its status", async (t) => {
  for (const { code, statusCode } of coded) {
    const status = /^(\d{3}): /.exec(sections.get(code) ?? '')?.[1]
    if (status !== undefined) t.equal(Number(status), statusCode, code)
  }
})
