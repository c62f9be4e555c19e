import { Agent, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps, Agent as SecureAgent } from 'node:https'
import type { Endpoint, Wire, WireEnd, WireListener } from './wire.ts'

// The streams have a connection each. Commands of all clients share these.
const COMMANDS = { keepAlive: true, maxSockets: 128 }
const SCHEMES = {
  'ws:': { request: requestHttp, agent: new Agent(COMMANDS) },
  'wss:': { request: requestHttps, agent: new SecureAgent(COMMANDS) }
}
const EVENT = 'data: '
const ABNORMAL = 1006

/** Opens a stream with `connect`, the first command. The commands after it go to the path `emulation`. */
export function openHttp(
  { url, headers, emulation, isSse }: Endpoint & { readonly emulation: string; readonly isSse: boolean },
  connect: string,
  listener: WireListener
): Wire {
  let ended = false
  let response: IncomingMessage | undefined
  let session: { readonly session?: string; readonly node?: string } = {}
  /** The start of a line whose end has not arrived. */
  let rest: Buffer = Buffer.alloc(0)
  /** Commands that wait for the request before them: two at once could overtake each other. */
  let waiting: string[] = []
  let isPosting = false

  const request = (path: string, body: string | undefined, isShared = false) => {
    const scheme = SCHEMES[url.protocol as keyof typeof SCHEMES]
    const sent = scheme.request({
      method: body === undefined ? 'GET' : 'POST',
      path,
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port,
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      agent: isShared && scheme.agent
    })
    sent.on('error', (error: NodeJS.ErrnoException) => end({ reason: String(error.code) }))
    return sent.end(body)
  }
  const opening = new URL(url)
  if (isSse) opening.searchParams.set('cf_connect', connect)
  const stream = request(opening.pathname + opening.search, isSse ? undefined : connect)
  const cut = () => {
    ended = true
    stream.destroy()
  }
  const end = (how: WireEnd) => {
    if (ended) return
    cut()
    listener.onEnd(how)
  }
  const onData = (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = bytes.indexOf('\n'); end >= 0 && !ended; end = bytes.indexOf('\n', start)) {
      if (end > start) listener.onMessage(bytes.subarray(start + (isSse ? EVENT.length : 0), end))
      start = end + 1
    }
    rest = bytes.subarray(start)
  }
  stream.on('response', (it) => {
    response = it.on('data', onData)
    it.on('error', () => {}) // `close` follows
    it.on('close', () => end({ code: ABNORMAL }))
    if (it.statusCode === 200) listener.onOpen()
    else end({ status: it.statusCode as number })
  })
  const post = () => {
    isPosting = true
    const data = waiting.join('\n')
    waiting = []
    request(emulation, JSON.stringify({ session: session.session, node: session.node, data }), true).on(
      'response',
      (answer) => {
        if (answer.statusCode !== 204) end({ reason: `commands refused with ${answer.statusCode}` })
        answer.resume().on('end', () => {
          isPosting = false
          if (waiting.length > 0 && !ended) post()
        })
      }
    )
  }
  return {
    send: (data) => {
      waiting.push(data as string)
      if (!isPosting) post()
    },
    pause: () => response?.pause(),
    resume: () => response?.resume(),
    cut,
    close: cut,
    identify: (it) => {
      session = it
    }
  }
}
