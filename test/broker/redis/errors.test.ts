import t from 'tap'
import { callerError, errorWord, fatalError } from '../../../lib/broker/redis/errors.ts'

function said(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError', command: { args: ['AUTH', 'secret'] } })
}

t.test('what the caller gets', async (t) => {
  const UNAVAILABLE = 'FST_RT_UNAVAILABLE'
  const REFUSED = 'FST_RT_BROKER'
  const UNKNOWN = 'FST_RT_UNKNOWN_OUTCOME'
  for (const [error, ofWrite, ofRead] of [
    [said('READONLY You can’t write against a read only replica.'), UNAVAILABLE, UNAVAILABLE],
    [said('CLUSTERDOWN Hash slot not served'), UNAVAILABLE, UNAVAILABLE],
    [said('LOADING Redis is loading the dataset in memory'), UNAVAILABLE, UNAVAILABLE],
    [said('OOM command not allowed'), REFUSED, REFUSED],
    [said('ERR secret went wrong'), REFUSED, REFUSED],
    [said('secret'), REFUSED, REFUSED],
    [new Error('Command timed out'), UNKNOWN, UNAVAILABLE],
    [new Error('Connection is closed.'), UNKNOWN, UNAVAILABLE],
    [new Error('Stream isn’t writeable'.replace('’', "'")), UNAVAILABLE, UNAVAILABLE],
    [new Error('Too many Cluster redirections. Last error: MOVED'), UNAVAILABLE, UNAVAILABLE]
  ] as const) {
    t.match(callerError(error, true), { code: ofWrite }, error.message)
    t.match(callerError(error, false), { code: ofRead }, error.message)
    t.notMatch(callerError(error, true).message, 'secret')
  }
})

t.test('words', async (t) => {
  t.equal(errorWord(said('ERR The user executing the script can’t run'.replace('’', "'"))), 'NOPERM')
  t.equal(errorWord(said('secret')), 'ERR')
  t.equal(errorWord(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })), 'ECONNREFUSED')
  t.equal(errorWord(new Error('Command timed out')), 'timeout')
  t.equal(errorWord(new Error('anything')), 'closed')
  const ofCluster = Object.assign(new Error('Failed to refresh slots cache.'), { lastNodeError: said('NOAUTH secret') })
  t.equal(errorWord(ofCluster), 'NOAUTH')
  t.match(fatalError(ofCluster), { code: 'FST_RT_BROKER', message: /NOAUTH \(it wants a password\)/ })
  t.equal(fatalError(said('OOM')), undefined)
})
