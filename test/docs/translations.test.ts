import t from 'tap'
import { read, translations } from './pages.ts'

/* A translation has the structure of its page in English: headings, code, links, figures. The words are free. */

const FENCED = /^```\w*\n.*?^```$/gms

const withoutCode = (page: string) => read(page).replace(FENCED, '')
const blocks = (page: string) => read(page).match(FENCED) ?? []
const levels = (page: string) => (withoutCode(page).match(/^#+(?= )/gm) ?? []).map(({ length }) => length)
const items = (page: string) => (withoutCode(page).match(/^(?:- |\d\. |\|)/gm) ?? []).map((start) => start)

/** What a page links to, without the anchors of its own headings. They are translated. */
function links(page: string): string[] {
  return [...withoutCode(page).matchAll(/\]\(([^)#][^)]*)\)/g)].map(([, target = '']) => target).sort()
}

for (const translation of translations) {
  const original = translation.replace(/\.[\w-]+\.md$/, '.md')
  t.test(`${translation} keeps up with ${original}`, async (t) => {
    t.same(levels(translation), levels(original), 'headings')
    t.same(blocks(translation), blocks(original), 'code')
    t.same(items(translation), items(original), 'lists and tables')
    // Each links to the other, and beside that to the same pages.
    t.same([...links(translation), translation].sort(), [...links(original), original].sort(), 'links')
  })
}

t.test('the README is short', async (t) => {
  const words = withoutCode('README.md').split(/\s+/).length
  t.ok(words <= 1_500, `${words} words`)
})

t.test('the Chinese README names the pitfalls in their order', async (t) => {
  const text = read('README.zh-CN.md')
  const places = ['空闲连接', 'token', '第二个进程', '一发版', '格式错误的消息', '同时重连'].map((word) =>
    text.indexOf(word)
  )
  t.notOk(places.includes(-1))
  t.same(
    places,
    places.toSorted((a, b) => a - b)
  )
})
