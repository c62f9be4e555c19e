import t from 'tap'
import { closeAdvice } from '../../lib/protocol/close-advice.ts'
import { CLOSE } from '../../lib/protocol/close-codes.ts'
import { DISCONNECT, disconnectFor, UNSUBSCRIBE } from '../../lib/protocol/disconnect-codes.ts'

t.test('codes are those of the protocol, each once, with reasons that fit', async (t) => {
  const codes = Object.values(DISCONNECT).map(({ code }) => code)
  t.equal(new Set(codes).size, codes.length)
  for (const { code, reason } of Object.values(DISCONNECT)) {
    t.ok((code >= 3000 && code <= 3014) || (code >= 3500 && code <= 3509), reason)
    t.ok(Buffer.byteLength(reason) <= 123)
  }
  t.ok(Object.values(UNSUBSCRIBE).every(({ code }) => code < 3000))
})

t.test('what a client does about a partner is what it would do about the code itself', async (t) => {
  const wanted = (advice: string) => (advice === 'stop' ? 'stop' : 'reconnect')
  for (const close of Object.values(CLOSE)) {
    const partner = disconnectFor(close)
    if (partner.code === close.code) continue
    t.equal(closeAdvice(partner.code), wanted(close.advice), `${close.code} → ${partner.code}`)
  }
  t.same(disconnectFor({ code: 4000, reason: 'own' }), { code: 4000, reason: 'own' })
})
