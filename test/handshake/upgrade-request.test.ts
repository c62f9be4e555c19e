import { randomBytes } from 'node:crypto'
import { type IncomingHttpHeaders, IncomingMessage } from 'node:http'
import t from 'tap'
import { asksForWebSocket, BAD_VERSION, upgradeFault } from '../../lib/handshake/upgrade-request.ts'

function fault(headers: IncomingHttpHeaders = {}) {
  const good = { 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') }
  return upgradeFault({ headers: { ...good, ...headers } } as IncomingMessage)
}

t.test('a handshake as browsers send it', async (t) => {
  t.equal(fault(), undefined)
  t.equal(fault({ 'sec-websocket-version': 13 as never }), undefined, 'a number, as injectWS() has it')
  t.equal(fault({ 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' }), undefined)
})

t.test('another version', async (t) => {
  for (const version of [undefined, '', '8', '14', '13, 8', ' 13']) {
    t.equal(fault({ 'sec-websocket-version': version }), BAD_VERSION, `${version}`)
  }
})

t.test('a key that is not sixteen bytes of base64', async (t) => {
  const bad = [
    undefined,
    '',
    'x',
    randomBytes(15).toString('base64'),
    randomBytes(17).toString('base64'),
    '_'.repeat(22)
  ]
  for (const key of [...bad, `${'A'.repeat(22)}`, `${'_'.repeat(22)}==`, `${'A'.repeat(22)}==\n`]) {
    t.equal(fault({ 'sec-websocket-key': key }), 'Sec-WebSocket-Key', `${key}`)
  }
})

t.test('extensions that are none, and offers of one that can’t be', async (t) => {
  const bad = [
    ';',
    'a;;b',
    'permessage-deflate; server_max_window_bits=99',
    'permessage-deflate; client_max_window_bits=x',
    'permessage-deflate; unknown=1',
    'permessage-deflate; server_no_context_takeover=1'
  ]
  for (const extensions of bad) {
    t.equal(fault({ 'sec-websocket-extensions': extensions }), 'Sec-WebSocket-Extensions', extensions)
  }
  for (const extensions of ['x-unknown; a=1', 'x, y', 'permessage-deflate; server_max_window_bits=10']) {
    t.equal(fault({ 'sec-websocket-extensions': extensions }), undefined, extensions)
  }
})

t.test('case 132, 133: what its version of HTTP, a missing host or a body make of it', async (t) => {
  const request = (httpVersion: string, headers: IncomingHttpHeaders) => {
    const made = new IncomingMessage(null as never)
    return Object.assign(made, { httpVersion, headers: { ...headers, 'sec-websocket-version': '13' } })
  }
  const key = { 'sec-websocket-key': randomBytes(16).toString('base64') }
  t.equal(upgradeFault(request('1.1', { host: 'a', ...key })), undefined)
  t.equal(upgradeFault(request('1.1', { host: 'a', 'content-length': '0', ...key })), undefined)
  t.equal(upgradeFault(request('1.0', { host: 'a', ...key })), 'HTTP/1.1 is needed')
  t.equal(upgradeFault(request('1.1', key)), 'Host')
  for (const body of [{ 'content-length': '1' }, { 'content-length': 'x' }, { 'transfer-encoding': 'chunked' }]) {
    t.equal(upgradeFault(request('1.1', { host: 'a', ...body, ...key })), 'a body')
  }
})

t.test('case 133: websocket among other protocols is a handshake', async (t) => {
  const asks = (upgrade: string | undefined) => asksForWebSocket({ headers: { upgrade } } as IncomingMessage)
  for (const upgrade of ['websocket', 'WebSocket', 'h2c, websocket', 'websocket ,h2c']) t.ok(asks(upgrade), upgrade)
  for (const upgrade of [undefined, '', 'h2c', 'websocket/13', 'websockets', 'h2c;websocket']) t.notOk(asks(upgrade))
})
