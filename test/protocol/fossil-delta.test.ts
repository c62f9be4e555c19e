import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import { fossilDelta } from '../../lib/protocol/fossil-delta.ts'
import { applyFossil } from '../support/fossil.ts'

const words = fc.constantFrom('a', 'ж', 'з', '€', '😀', '{"x":', '\\n', 'lorem ipsum dolor ', 'жизнь ', '0123456789')
const texts = fc.array(words, { maxLength: 80 })

t.test('a delta makes the target, is smaller than it, and is UTF-8 itself', async (t) => {
  let deltas = 0
  const edits = fc.array(fc.tuple(fc.nat(80), fc.nat(4), fc.array(words, { maxLength: 3 })), { maxLength: 4 })
  fc.assert(
    fc.property(texts, edits, fc.nat(80), (parts, edits, turn) => {
      const next = [...parts.slice(turn), ...parts.slice(0, turn)]
      for (const [at, gone, more] of edits) next.splice(at, gone, ...more)
      const source = Buffer.from(parts.join(''))
      const target = Buffer.from(next.join(''))
      const delta = fossilDelta(source, target, 1)
      if (delta === undefined) return true
      deltas++
      return delta.length < target.length && isUtf8(delta) && applyFossil(source, delta).equals(target)
    }),
    { numRuns: 2_000, seed: 1 }
  )
  t.ok(deltas > 500, `${deltas} deltas`)
})

function delta(source: string, target: string, margin = 1): string | undefined {
  const made = fossilDelta(Buffer.from(source), Buffer.from(target), margin)
  if (made !== undefined) t.equal(applyFossil(Buffer.from(source), made).toString(), target)
  return made?.toString()
}

// No part of it occurs twice.
const LONG = Array.from({ length: 200 }, (_, n) => `${n * 7919}`).join(' ')

t.test('one place that changed costs one insert', async (t) => {
  t.ok((delta(LONG, `${LONG} and more`)?.length ?? 99) < 40, 'at the end')
  t.ok((delta(LONG, `before ${LONG}`)?.length ?? 99) < 40, 'at the beginning')
  t.ok((delta(LONG, LONG.replace('791900', 'x'))?.length ?? 99) < 40, 'in the middle')
  t.ok((delta(LONG, LONG)?.length ?? 99) < 20, 'nothing')
  t.ok((delta(LONG, LONG.slice(0, 300))?.length ?? 99) < 20, 'a part is left')
})

t.test('several places, and parts that have moved', async (t) => {
  const parts = [LONG.slice(0, 300), LONG.slice(300, 600), LONG.slice(600)] as const
  t.ok((delta(LONG, parts.join(' x '))?.length ?? 99) < 70)
  t.ok((delta(LONG, `<${parts[2]}|${parts[0]}|${parts[1]}>`)?.length ?? 99) < 70)
})

t.test('a character is never cut, although its first byte has not changed', async (t) => {
  const before = 'и'.repeat(50)
  const after = 'к'.repeat(50)
  const made = delta(`${before}ж${after}`, `${before}з${after}`)
  t.ok(made?.includes('з'))
  t.ok(isUtf8(Buffer.from(made ?? '')))
})

t.test('no delta where it would not be smaller', async (t) => {
  t.equal(delta('', ''), undefined)
  t.equal(delta(LONG, 'short'), undefined)
  t.equal(delta('', LONG), undefined)
  t.equal(delta('x'.repeat(20), LONG), undefined)
  t.equal(delta(LONG, LONG.split('').reverse().join('')), undefined)
  const one = delta(LONG, `${LONG}!`)?.length as number
  t.ok(delta(LONG, `${LONG}!`, LONG.length + 1 - one))
  t.equal(delta(LONG, `${LONG}!`, LONG.length + 2 - one), undefined)
  t.equal(delta(LONG, `${LONG}!`, LONG.length + 1), undefined)
  // It exceeds the limit after a copy, or while a number is written.
  for (let margin = 1; margin < LONG.length; margin += 7) {
    const made = delta(LONG, `<${LONG.slice(500)}|${LONG.slice(0, 500)}>`, margin)
    t.ok(made === undefined || made.length <= LONG.length + 3 - margin)
  }
})

t.test('texts that resemble each other everywhere take no more steps than others', async (t) => {
  const source = Buffer.from('a'.repeat(1_000_000))
  const target = Buffer.from(`${'a'.repeat(90)}c`.repeat(10_000))
  const made = fossilDelta(source, target, 1) as Buffer
  t.ok(applyFossil(source, made).equals(target))
})
