import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'
import { until } from '../../support/redis-server.ts'

const { Outbox } = await pageModule('outbox.js')

interface Message {
  readonly id: string
}

/** A server that answers when the test says so. */
class Server {
  readonly received: string[] = []
  readonly times: number[] = []
  readonly refused: string[] = []
  readonly outbox = new Outbox({
    publish: ({ id }: Message) => {
      this.received.push(id)
      this.times.push(performance.now())
      return new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }))
    },
    refused: ({ id }: Message, { code }: { code: number }) => this.refused.push(`${id}: ${code}`),
    retryAfter: 20
  })
  #waiting: { resolve: () => void; reject: (error: object) => void }[] = []

  add(...ids: string[]): void {
    for (const id of ids) this.outbox.add(id, { id })
  }

  /** Answers the oldest that waits; resolves once the outbox has seen it. */
  async answer(error?: object): Promise<void> {
    const next = this.#waiting.shift()
    if (error === undefined) next?.resolve()
    else next?.reject(error)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('what is added without a connection waits for it, and goes in order', async (t) => {
  const server = new Server()
  server.add('a', 'b')
  t.same([server.received, server.outbox.size], [[], 2])
  server.outbox.open()
  t.same(server.received, ['a', 'b'])
  await server.answer()
  t.equal(server.outbox.size, 2, 'an answer is not yet a return')
  server.outbox.confirm('a')
  t.equal(server.outbox.size, 1)
})

test('what was under way when the connection went is sent again, what was answered is not', async (t) => {
  const server = new Server()
  server.outbox.open()
  server.add('a', 'b', 'c')
  await server.answer()
  server.outbox.close()
  await server.answer({ code: 11 })
  await server.answer({ code: 2 })
  server.add('d')
  t.same(server.received, ['a', 'b', 'c'])
  server.outbox.open()
  t.same(server.received, ['a', 'b', 'c', 'b', 'c', 'd'])
  server.outbox.again()
  t.same(server.received.slice(6), ['a'], 'unless the channel was read anew, and it was not there')
})

test('what is refused for now is sent again after a while, in order', async (t) => {
  const server = new Server()
  server.outbox.open()
  server.add('a', 'b')
  await server.answer({ code: 111, temporary: true })
  await server.answer({ code: 1 })
  server.add('c')
  await until(() => server.received.length === 5)
  const [, second = 0, third = 0] = server.times
  t.ok(third - second >= 19, `${third - second} ms later`)
  t.same(server.received.slice(2), ['a', 'b', 'c'])
  t.same(server.refused, [])
})

test('what is refused for good is told, and not sent again', async (t) => {
  const server = new Server()
  server.outbox.open()
  server.add('a', 'b')
  await server.answer({ code: 460 })
  t.same([server.refused, server.outbox.size], [['a: 460'], 1])
  server.outbox.confirm('b')
  await server.answer({ code: 107 })
  t.same(server.refused, ['a: 460'], 'what came back all the same was not refused')
})

test('of many only some are under way at a time', async (t) => {
  const server = new Server()
  server.outbox.open()
  server.add(...Array.from({ length: 60 }, (_, at) => String(at)))
  t.equal(server.received.length, 50)
  await server.answer()
  await server.answer()
  t.equal(server.received.length, 52)
})
