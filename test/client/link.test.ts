import t from 'tap'
import { Link, type LinkOwner, type SocketLike } from '../../lib/client/link.ts'
import { pass, standStill } from './rig.ts'

function rig(t: { teardown(fn: () => unknown): void }) {
  standStill(t)
  const calls: string[] = []
  const owner: LinkOwner = {
    welcomed: () => void calls.push('welcomed'),
    received: (_link, data) => void calls.push(`received ${data}`),
    lost: (_link, code, reason) => void calls.push(`lost ${code} ${reason}`)
  }
  let socket: (SocketLike & { closes: number; texts: string[] }) | undefined
  class Socket implements SocketLike {
    onopen = null
    onmessage = null
    onclose = null
    onerror = null
    closes = 0
    texts: string[] = []
    constructor() {
      socket = this
    }
    send(text: string) {
      this.texts.push(text)
    }
    close() {
      this.closes++
    }
  }
  const link = new Link(owner, 1_000)
  const open = () => {
    link.open(Socket, 'ws://x', [])
    return socket as NonNullable<typeof socket>
  }
  return { link, calls, open }
}

t.test('an attempt that takes too long is over, even before there is a socket', async (t) => {
  const { link, calls } = rig(t)
  pass(1_000)
  t.same(calls, ['lost 1006 timeout'])
  t.ok(link.lost)
  link.lose(1012, 'again')
  link.send('nowhere')
  link.close()
  t.equal(calls.length, 1, 'once')
})

t.test('after the welcome there is no deadline for the attempt any more', async (t) => {
  const { calls, open } = rig(t)
  const socket = open()
  socket.onopen?.({} as never)
  pass(400)
  socket.onmessage?.({ data: 'a' } as never)
  pass(60_000)
  t.same(calls, ['received a', 'welcomed'])
  t.doesNotThrow(() => socket.onerror?.({} as never))
})

t.test('a message that ends the link leaves nothing to welcome', async (t) => {
  const { link, calls, open } = rig(t)
  const socket = open()
  socket.onmessage = ((original) => (event: never) => {
    link.lose(1000, 'done')
    original?.(event)
  })(socket.onmessage)
  socket.onmessage?.({ data: 'a' } as never)
  t.same(calls, ['lost 1000 done', 'received a'])
})

t.test('a check ends a link that was silent for too long, and no other', async (t) => {
  const { link, calls, open } = rig(t)
  const socket = open()
  link.check()
  t.same(calls, [], 'without a limit there is none')
  link.watch(500)
  link.check()
  pass(499)
  socket.onmessage?.({ data: 'a' } as never)
  pass(499)
  t.notOk(link.lost)
  pass(1)
  t.same(calls.at(-1), 'lost 1006 silence')
  t.equal(socket.closes, 1, 'what the network has forgotten is closed for the server’s sake')
  t.equal(socket.onclose, null)
})
