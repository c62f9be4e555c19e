import t from 'tap'
import { shouldReconnect, subprotocols } from '../../lib/client/index.ts'

t.test('a token is offered behind the protocol, as new WebSocket(url, protocols) takes it', async (t) => {
  t.same(subprotocols('a.b.c'), ['realtime.v1', 'bearer.a.b.c'])
})

t.test('reconnecting where the server will have us back', async (t) => {
  for (const code of [1001, 1006, 1011, 1012, 1013, 4008, 4401, 4408, 4429, 3001]) {
    t.equal(shouldReconnect(code), true, String(code))
  }
})

t.test('stopping where it would only be refused again', async (t) => {
  for (const code of [1000, 1002, 1003, 1005, 1007, 1008, 1009, 4400, 4403, 4406, 4409, 3500]) {
    t.equal(shouldReconnect(code), false, String(code))
  }
})
