import fc from 'fast-check'
import t from 'tap'
import type { Publication } from '../../lib/broker/broker.ts'
import type { Outbox } from '../../lib/connection/outbox.ts'
import { Turn } from '../../lib/connection/turn.ts'
import { type CursorFeed, StreamCursor } from '../../lib/hub/cursor.ts'
import { DeltaChain } from '../../lib/hub/delta-chain.ts'
import { FakeConnection } from '../support/fake-connection.ts'
import { applyFossil } from '../support/fossil.ts'

/* Frames are lines here: `=` and the data, `~` and a delta in base64, or anything else for a join. */

const LONG = Array.from({ length: 60 }, (_, n) => `${n * 7919}`).join(' ')

function rig() {
  const chain = new DeltaChain((_publication, delta) => Buffer.from(`~${delta.toString('base64')}\n`))
  let frames: Buffer[] = []
  let exceptions: Map<Outbox, Set<number>> | undefined
  return {
    chain,
    publish(text: string, except?: Outbox) {
      const publication: Publication = { offset: 0, epoch: '', data: Buffer.from(text) }
      const whole = Buffer.from(`=${text}\n`)
      if (except !== undefined) {
        exceptions ??= new Map()
        exceptions.set(except, new Set(exceptions.get(except)).add(frames.length))
      }
      chain.add(frames.length, whole, publication)
      frames.push(whole)
    },
    announce: () => frames.push(Buffer.from('join\n')),
    take() {
      const round = chain.take(frames, exceptions)
      frames = []
      exceptions = undefined
      return round
    }
  }
}

class Reader {
  readonly cursor: StreamCursor
  readonly connection = new FakeConnection({ turn: new Turn() })
  readonly lines: string[] = []
  readonly data: string[] = []
  #last: Buffer | undefined

  constructor() {
    this.cursor = new StreamCursor(this.connection, {} as CursorFeed)
  }

  /** Reads as a client does. */
  read(round: ReturnType<DeltaChain['take']>): void {
    const part = round.partFor(this.cursor)
    const lines = part?.chunk.toString().split('\n').slice(0, -1) ?? []
    if (lines.length !== (part?.count ?? 0)) throw new Error('a wrong count')
    for (const line of lines) {
      this.lines.push(line)
      const body = line.slice(1)
      if (line.startsWith('=')) this.#last = Buffer.from(body)
      else if (line.startsWith('~')) this.#last = applyFossil(this.#last as Buffer, Buffer.from(body, 'base64'))
      else continue
      this.data.push(this.#last.toString())
    }
  }

  get kinds(): string {
    return this.lines.map(([first]) => first).join('')
  }
}

const setLagging = ({ outbox }: FakeConnection, lagging: boolean) =>
  Object.defineProperty(outbox, 'lagging', { value: lagging, configurable: true })

t.test('the first is whole, the others are deltas, one for all', async (t) => {
  const { publish, take } = rig()
  const readers = [new Reader(), new Reader()] as const
  publish(`${LONG} 1`)
  publish(`${LONG} 2`)
  const first = take()
  for (const reader of readers) reader.read(first)
  publish(`${LONG} 3`)
  const second = take()
  const late = new Reader()
  for (const reader of [...readers, late]) reader.read(second)
  for (const { kinds, data } of readers) {
    t.equal(kinds, '=~~')
    t.same(
      data,
      [1, 2, 3].map((n) => `${LONG} ${n}`)
    )
  }
  t.equal(readers[0].lines[2], readers[1].lines[2])
  t.equal(late.kinds, '=')
  t.ok(second.saved > 2 * 300 && second.saved % 2 === 0, `${second.saved} bytes saved`)
})

t.test('a delta that would not be smaller is not sent', async (t) => {
  const { publish, take } = rig()
  const reader = new Reader()
  for (const text of ['1', '2', LONG, LONG.split('').reverse().join('')]) publish(text)
  const round = take()
  reader.read(round)
  t.equal(reader.kinds, '====')
  t.equal(round.saved, 0)
})

t.test('after `forget` the next is whole for all', async (t) => {
  const { chain, publish, take } = rig()
  const reader = new Reader()
  publish(LONG)
  reader.read(take())
  chain.forget()
  publish(`${LONG} 1`)
  reader.read(take())
  t.equal(reader.kinds, '==')
})

t.test('joins and leaves change nothing', async (t) => {
  const { publish, announce, take } = rig()
  const reader = new Reader()
  announce()
  reader.read(take())
  t.equal(reader.cursor.hasBase, false)
  publish(LONG)
  announce()
  publish(`${LONG} 1`)
  reader.read(take())
  announce()
  reader.read(take())
  t.equal(reader.cursor.hasBase, true)
  t.equal(reader.kinds, 'j=j~j')
})

t.test('whom a publication is not for gets the next one whole', async (t) => {
  const { publish, take } = rig()
  const [author, reader] = [new Reader(), new Reader()]
  const both = (round: ReturnType<typeof take>) => {
    for (const one of [author, reader]) one.read(round)
  }
  publish(`${LONG} 1`)
  both(take())
  publish(`${LONG} 2`, author.connection.outbox)
  both(take())
  publish(`${LONG} 3`)
  publish(`${LONG} 4`)
  publish(`${LONG} 5`, author.connection.outbox)
  publish(`${LONG} 6`)
  both(take())
  t.equal(author.kinds, '==~=')
  t.same(
    author.data,
    [1, 3, 4, 6].map((n) => `${LONG} ${n}`)
  )
  t.equal(reader.kinds, '=~~~~~')
})

t.test('what waits for a slow reader may be dropped, so it is whole, and so is the next', async (t) => {
  const { publish, take } = rig()
  const reader = new Reader()
  publish(`${LONG} 1`)
  reader.read(take())
  setLagging(reader.connection, true)
  publish(`${LONG} 2`)
  publish(`${LONG} 3`)
  reader.read(take())
  setLagging(reader.connection, false)
  publish(`${LONG} 4`)
  publish(`${LONG} 5`)
  reader.read(take())
  t.equal(reader.kinds, '====~')
})

t.test('whatever is published, excepted and slow: readers make out what was published for them', async () => {
  const step = fc.record({
    text: fc.tuple(fc.nat(3), fc.nat(3)).map(([cut, n]) => `${LONG.slice(20 * cut)} ${n}`),
    except: fc.option(fc.nat(1)),
    lagging: fc.boolean(),
    ends: fc.boolean(),
    joins: fc.boolean()
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { publish, announce, take } = rig()
      const readers = [new Reader(), new Reader(), new Reader()] as const
      const expected: string[][] = [[], [], []]
      for (const { text, except, lagging, ends, joins } of steps) {
        if (joins) announce()
        publish(text, except === null ? undefined : readers[except]?.connection.outbox)
        for (const [at, texts] of expected.entries()) if (at !== except) texts.push(text)
        setLagging(readers[2].connection, lagging)
        const round = ends ? take() : undefined
        if (round !== undefined) for (const reader of readers) reader.read(round)
      }
      const last = take()
      for (const reader of readers) reader.read(last)
      return readers.every(({ data }, at) => JSON.stringify(data) === JSON.stringify(expected[at]))
    }),
    { numRuns: 300, seed: 1 }
  )
})
