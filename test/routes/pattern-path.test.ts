import t from 'tap'
import { fillPattern, isPlain, namePath, original, patternPath } from '../../lib/routes/pattern-path.ts'

t.test('names keep their letters, but for those that mean something to the router', async (t) => {
  t.equal(namePath('a/b:c;d@é'), '/a/b:c;d@é')
  t.equal(namePath('/a'), '//a')
  t.equal(namePath('50%?#'), '/50\u0001\u0002\u0003')
  t.equal(original('50\u0001\u0002\u0003'), '50%?#')
  t.equal(isPlain('a/b:c;d@é'), true)
  for (const name of ['%', '?', '#', '\u0001', '\u0002', '\u0003']) t.equal(isPlain(name), false)
})

t.test('so do patterns, but for what is syntax', async (t) => {
  const cases: Record<string, string> = {
    news: '/news',
    '#general': '/\u0003general',
    'what?': '/what\u0002',
    'a%/:b': '/a\u0001/:b',
    'chat::room-:id': '/chat::room-:id',
    '::x?': '/::x\u0002',
    ':id?': '/:id?',
    'a/:id?': '/a/:id?',
    'a/:id-?': '/a/:id-\u0002',
    'files/*': '/files/*',
    ':größe/:b_1.:c$': '/:größe/:b_1.:c$',
    ':id(^\\d+$)': '/:id(^\\d+$)',
    'a/:id(^(?:a|b)?$)#/x': '/a/:id(^(?:a|b)?$)\u0003/x',
    ':id(^\\(?\\)$)-?': '/:id(^\\(?\\)$)-\u0002',
    // The router says what is wrong with it.
    ':id(a': '/:id(a'
  }
  for (const [pattern, path] of Object.entries(cases)) t.equal(patternPath(pattern), path, pattern)
})

t.test('regular expressions take the stand-ins for what they stand for', async (t) => {
  const cases: [string, string[], string[]][] = [
    ['^a#b%$', ['a#b%'], ['ab']],
    ['^ab?$', ['a', 'ab'], ['ab?']],
    ['^a\\?$', ['a?'], ['a', '']],
    ['^\\x3f\\u0023\\x41$', ['?#A'], ['A']],
    ['^[?#]+$', ['?#'], ['%', 'a']],
    ['^[^#\\]]+$', ['a%?'], ['a#', ']']],
    ['^[!-~]+$', ['a#b%c?'], ['é', ' ']],
    ['^[\\x20-\\x24]+$', [' #'], ['%', '?']],
    ['^[^$-\\/]+$', ['a#?'], ['%', '-']],
    ['^[\\d-]+$', ['1-2'], ['%', '#', 'd']],
    ['^[\\d-z]+$', ['1-z'], ['%', '#', 'y']],
    ['^[a-]+$', ['a-'], ['#']],
    ['^.{3}$', ['#?%'], ['#']]
  ]
  for (const [regexp, matching, others] of cases) {
    const path = patternPath(`:x(${regexp})`)
    const compiled = new RegExp(path.slice('/:x('.length, -1))
    for (const name of matching) t.equal(compiled.test(namePath(name).slice(1)), true, `${regexp} matches ${name}`)
    for (const name of others)
      t.equal(compiled.test(namePath(name).slice(1)), false, `${regexp} does not match ${name}`)
  }
})

t.test('what no name could match is refused', async (t) => {
  const cases: Record<string, RegExp> = {
    'a\nb': /control characters/,
    'a\u0003': /control characters/,
    'rooms:': /: is no parameter.*:: for a colon/,
    'rooms/:': /: is no parameter/,
    ':id#': /:id# is no parameter/,
    ':a:b': /:a:b is no parameter/,
    'room-:id?': /:id\? is no parameter/,
    ':id@host': /:id@host is no parameter/,
    ':id(^\\d+$)?': /:id has a regular expression, and can't be optional/
  }
  for (const [pattern, message] of Object.entries(cases)) t.throws(() => patternPath(pattern), { message }, pattern)
})

t.test('a pattern is filled in, whatever name that makes', async (t) => {
  const cases: [pattern: string, params: Record<string, unknown>, name: string][] = [
    ['news', {}, 'news'],
    ['boards/:board', { board: 7 }, 'boards/7'],
    ['boards/:board/:layer', { board: '7', layer: 'ink' }, 'boards/7/ink'],
    ['boards/:board/ink', {}, 'boards//ink'],
    ['a::b/:c', { c: 'd' }, 'a:b/d'],
    ['files/*', { '*': 'a/b' }, 'files/a/b'],
    ['files/*', {}, 'files/'],
    [':one-:two.:three', { one: 1, two: 2, three: 3 }, '1-2.3'],
    ['shop/:size?', {}, 'shop'],
    ['shop/:size?', { size: 'L' }, 'shop/L'],
    ['ids/:id(^(?:\\d|:)+$)-x', { id: '5:5' }, 'ids/5:5-x'],
    [':path', { path: '*' }, '*']
  ]
  for (const [pattern, params, name] of cases) t.equal(fillPattern(pattern, params), name, pattern)
})
