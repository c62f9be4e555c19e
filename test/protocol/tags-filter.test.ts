import fc from 'fast-check'
import t from 'tap'
import { bothFilters, compileFilter, isFilter, MAX_FILTER, type TagsFilter } from '../../lib/protocol/tags-filter.ts'

const FAULT = { name: 'TypeError', message: /^The filter is not valid: / }
const tags = (object: Record<string, string>) => new Map(Object.entries(object))
const passes = (filter: unknown, object?: Record<string, string>) => compileFilter(filter)(object && tags(object))

t.test('each comparison, with a tag, another value, and no tag at all', async (t) => {
  const rows: [node: object, yes: string[], no: string[], withoutTag: boolean][] = [
    [{ cmp: 'eq', val: 'a' }, ['a'], ['b', '', 'A'], false],
    [{ cmp: 'neq', val: 'a' }, ['b', ''], ['a'], true],
    [{ cmp: 'in', vals: ['a', 'b'] }, ['a', 'b'], ['c', ''], false],
    [{ cmp: 'in', vals: ['a', ''] }, ['a', ''], ['c'], true],
    [{ cmp: 'nin', vals: ['a', 'b'] }, ['c', ''], ['a', 'b'], true],
    [{ cmp: 'nin', vals: ['a', ''] }, ['c'], ['a', ''], false],
    [{ cmp: 'ex' }, ['a', ''], [], false],
    [{ cmp: 'nex' }, [], ['a', ''], true],
    [{ cmp: 'sw', val: 'ab' }, ['ab', 'abc'], ['a', 'cab', ''], false],
    [{ cmp: 'ew', val: 'bc' }, ['bc', 'abc'], ['b', 'bca', ''], false],
    [{ cmp: 'ct', val: 'b' }, ['b', 'abc'], ['a', ''], false],
    [{ cmp: 'gt', val: '10' }, ['11', '10.5', '100'], ['10', '9', '10.0', '-11', 'x', ''], false],
    [{ cmp: 'gte', val: '10' }, ['10', '10.00', '11'], ['9.99', 'ten', ''], false],
    [{ cmp: 'lt', val: '1.5' }, ['1.49', '0', '-2'], ['1.5', '2', '0x1', ''], false],
    [{ cmp: 'lte', val: '-1' }, ['-1', '-1.0', '-2'], ['0', '-0.5', ''], false],
    [{ cmp: 'gt', val: 'ten' }, [], ['10', '11', 'x'], false]
  ]
  for (const [node, yes, no, withoutTag] of rows) {
    const name = JSON.stringify(node)
    for (const value of yes) t.equal(passes({ key: 'k', ...node }, { k: value }), true, `${name} ${value}`)
    for (const value of no) t.equal(passes({ key: 'k', ...node }, { k: value }), false, `${name} ${value}`)
    t.equal(passes({ key: 'k', ...node }, { other: 'a' }), withoutTag, `${name} without the tag`)
    t.equal(passes({ key: 'k', ...node }), withoutTag, `${name} without tags`)
  }
})

t.test('and, or, not', async (t) => {
  const a = { key: 'a', cmp: 'ex' }
  const b = { op: '', key: 'b', cmp: 'ex', val: '', vals: [], nodes: null }
  for (const has of [{}, { a: '' }, { b: '' }, { a: '', b: '' }] as Record<string, string>[]) {
    t.equal(passes({ op: 'and', nodes: [a, b] }, has), 'a' in has && 'b' in has)
    t.equal(passes({ op: 'or', nodes: [a, b] }, has), 'a' in has || 'b' in has)
    t.equal(passes({ op: 'not', nodes: [a] }, has), !('a' in has))
    t.equal(passes({ op: 'and', nodes: [a] }, has), 'a' in has)
    t.equal(passes({ op: 'or', nodes: [b] }, has), 'b' in has)
    t.equal(passes({ op: 'not', nodes: [{ op: 'or', nodes: [a, b] }] }, has), !('a' in has) && !('b' in has))
  }
})

t.test('names that objects have themselves are names like others', async (t) => {
  for (const key of ['__proto__', 'constructor', 'toString']) {
    t.equal(passes({ key, cmp: 'ex' }, {}), false)
    t.equal(passes({ key, cmp: 'ex' }, JSON.parse(`{"${key}":"x"}`)), true)
    t.throws(() => compileFilter({ key: 'k', cmp: key, val: 'x' }), FAULT)
    t.throws(() => compileFilter({ op: key, nodes: [{ key, cmp: 'ex' }] }), FAULT)
  }
})

const leaf = { key: 'k', cmp: 'ex' }

function nested(depth: number): object {
  return depth === 1 ? leaf : { op: 'not', nodes: [nested(depth - 1)] }
}

t.test('what is not valid, or too large, is refused', async (t) => {
  const wide = (nodes: number) => ({ op: 'or', nodes: Array.from({ length: nodes - 1 }, () => leaf) })
  t.ok(compileFilter(nested(MAX_FILTER.depth)))
  t.ok(compileFilter(wide(MAX_FILTER.nodes)))
  const wrong: unknown[] = [
    undefined,
    null,
    'a',
    [],
    {},
    { key: 'k' },
    { cmp: 'eq', val: 'a' },
    { key: 'k', cmp: 'is', val: 'a' },
    { key: 'k', cmp: 'eq' },
    { key: 'k', cmp: 'eq', val: 'a', vals: ['b'] },
    { key: 'k', cmp: 'eq', val: 1 },
    { key: 1, cmp: 'ex' },
    { key: 'k', cmp: 'in' },
    { key: 'k', cmp: 'in', vals: [] },
    { key: 'k', cmp: 'in', vals: [1] },
    { key: 'k', cmp: 'in', vals: 'a' },
    { key: 'k', cmp: 'in', val: 'a', vals: ['a'] },
    { key: 'k', cmp: 'ex', val: 'a' },
    { key: 'k', cmp: 'nex', vals: ['a'] },
    { op: 'and' },
    { op: 'or', nodes: [] },
    { op: 'or', nodes: {} },
    { op: 'xor', nodes: [leaf] },
    { op: 1, nodes: [leaf] },
    { op: 'not', nodes: [leaf, leaf] },
    { op: 'not', nodes: [null] },
    nested(MAX_FILTER.depth + 1),
    wide(MAX_FILTER.nodes + 1),
    { op: 'and', nodes: [wide(MAX_FILTER.nodes / 2 + 1), wide(MAX_FILTER.nodes / 2 + 1)] },
    { key: 'k', cmp: 'eq', val: 'x'.repeat(MAX_FILTER.bytes) },
    { key: 'k', cmp: 'eq', val: 'é'.repeat(MAX_FILTER.bytes / 2) },
    { key: 'k', cmp: 'in', vals: Array.from({ length: 5 }, () => 'x'.repeat(1_000)) },
    { key: 'k', cmp: 'in', vals: Array.from({ length: 100_000 }, () => '') }
  ]
  t.equal(isFilter(leaf), true)
  t.equal(isFilter({ key: 'k' }), false)
  for (const filter of wrong) t.throws(() => compileFilter(filter), FAULT, JSON.stringify(filter)?.slice(0, 80))
})

t.test('both filters, one, or none', async (t) => {
  const a = compileFilter({ key: 'a', cmp: 'ex' })
  const b = compileFilter({ key: 'b', cmp: 'ex' })
  t.equal(bothFilters(undefined, undefined), undefined)
  t.equal(bothFilters(a, undefined), a)
  t.equal(bothFilters(undefined, b), b)
  const both = bothFilters(a, b) as TagsFilter
  t.strictSame(
    [{}, { a: '' }, { b: '' }, { a: '', b: '' }].map((one) => both(tags(one as never))),
    [false, false, false, true]
  )
})

t.test('any tree means what its parts mean', async () => {
  const { node } = fc.letrec<{ node: Node; leaf: Node; inner: Node }>((tie) => ({
    node: fc.oneof({ maxDepth: 4, depthIdentifier: 'd' }, tie('leaf'), tie('inner')),
    leaf: fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      cmp: fc.constantFrom('eq', 'neq'),
      val: fc.constantFrom('1', '2')
    }),
    inner: fc.record({
      op: fc.constantFrom('and', 'or', 'not'),
      nodes: fc.array(tie('node'), { minLength: 1, maxLength: 2, depthIdentifier: 'd' })
    })
  }))
  const given = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2', '3'))
  fc.assert(
    fc.property(node.map(oneForNot), given, (filter, object) => passes(filter, object) === meaning(filter, object))
  )
})

interface Node {
  readonly op?: string
  readonly nodes?: readonly Node[]
  readonly key?: string
  readonly cmp?: string
  readonly val?: string
}

function oneForNot(node: Node): Node {
  const nodes = node.nodes?.map(oneForNot)
  return nodes === undefined ? node : { ...node, nodes: node.op === 'not' ? nodes.slice(0, 1) : nodes }
}

function meaning({ op, nodes = [], key = '', cmp, val }: Node, object: Record<string, string>): boolean {
  if (op === 'and') return nodes.every((node) => meaning(node, object))
  if (op === 'or') return nodes.some((node) => meaning(node, object))
  if (op === 'not') return !meaning(nodes[0] as Node, object)
  return (object[key] === val) === (cmp === 'eq')
}
