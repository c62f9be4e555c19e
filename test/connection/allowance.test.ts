import { PassThrough } from 'node:stream'
import t from 'tap'
import { Allowance } from '../../lib/connection/allowance.ts'

function make(bytes: number) {
  const stream = new PassThrough()
  const heard: string[] = []
  stream.on('data', (chunk) => void heard.push(String(chunk)))
  const allowance = new Allowance(stream, bytes, () => void heard.push('exceeded'))
  return { stream, heard, allowance }
}

t.test('so many bytes, and not one more', async (t) => {
  const { stream, heard } = make(5)
  stream.write('abc')
  stream.write('de')
  t.same(heard, ['abc', 'de'])
  stream.write('f')
  t.same(heard, ['abc', 'de', 'exceeded', 'f'], 'before anyone else has read what is too much')
  stream.write('g')
  t.same(heard, ['abc', 'de', 'exceeded', 'f', 'g'], 'once')
})

t.test('lifted, there is no end to it', async (t) => {
  const { stream, heard, allowance } = make(5)
  stream.write('abc')
  allowance.lift()
  stream.write('defghi')
  t.same(heard, ['abc', 'defghi'])
  t.equal(stream.listenerCount('data'), 1)
})
