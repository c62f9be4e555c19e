import { Duplex } from 'node:stream'
import t from 'tap'
import { LingeringClose } from '../../lib/socket/lingering-close.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../hub/rig.ts'

function makeStream(bytesRead: number | undefined) {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  return Object.assign(stream, { bytesRead })
}

t.test('a stream ends once its peer has stopped sending', async (t) => {
  const clock = new FakeClock()
  const wheel = new TimerWheel(clock, 50)
  const stream = makeStream(10)
  new LingeringClose(stream, wheel)
  stream.end()
  for (let i = 0; i < 3; i++) {
    stream.bytesRead = 20 + i
    clock.advance(50)
    t.notOk(stream.writableEnded, 'it still sends')
  }
  clock.advance(100)
  t.ok(stream.writableEnded)
  t.equal(wheel.size, 0)
})

t.test('one that counts nothing ends a moment later, one that is gone is forgotten', async (t) => {
  const clock = new FakeClock()
  const wheel = new TimerWheel(clock, 50)
  const uncounted = makeStream(undefined)
  new LingeringClose(uncounted, wheel)
  uncounted.end()
  clock.advance(100)
  t.ok(uncounted.writableEnded)
  const gone = makeStream(1)
  new LingeringClose(gone, wheel)
  gone.end()
  t.equal(wheel.size, 1)
  const closed = new Promise((resolve) => gone.once('close', resolve))
  gone.destroy()
  await closed
  t.equal(wheel.size, 0)
})
