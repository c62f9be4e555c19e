import type { FastifyInstance } from 'fastify'
import type { PatternParams } from 'fastify-realtime'
import { type Equal, expect } from './equal.ts'

/* What `app.channelName` and the hooks of a channel take, as TypeScript sees it. Nothing here runs. */

export function names(app: FastifyInstance) {
  expect<Equal<keyof PatternParams<'boards/:board'>, 'board'>>()
  expect<Equal<keyof PatternParams<'a/:b/:c-:d.:e'>, 'b' | 'c' | 'd' | 'e'>>()
  expect<Equal<keyof PatternParams<'files/:kind/*'>, 'kind' | '*'>>()
  expect<Equal<keyof PatternParams<'a::b/:c'>, 'c'>>()
  expect<Equal<keyof PatternParams<'news'>, never>>()
  const name: string = app.channelName('boards/:board', { board: 7 })
  app.channelName('news')
  app.channelName('shop/:item/:size?', { item: name })
  app.channelName('shop/:item/:size?', { item: 'hat', size: 'L' })
  app.channelName('ids/:id(^\\d+$)', { id: 5 })
  app.channelName(name, { anything: 1 })
  // @ts-expect-error: the parameter is missing
  app.channelName('boards/:board')
  // @ts-expect-error: it is another parameter
  app.channelName('boards/:board', { bord: '7' })
  // @ts-expect-error: it is no text
  app.channelName('boards/:board', { board: undefined })
}

export function permissions(app: FastifyInstance) {
  app.channel('rooms/:room', { onSubscribe: true, onPublish: ({ data }) => void expect<Equal<typeof data, unknown>>() })
  // @ts-expect-error: leave it out to refuse everybody
  app.channel('rooms/:room', { onSubscribe: false })
  // @ts-expect-error: a hook that only refuses
  app.channel('rooms/:room', { onHistory: true })
}

export function bytes(app: FastifyInstance) {
  app.channel('files/:file', { binary: true, onPublish: ({ data }) => void expect<Equal<typeof data, Buffer>>() })
  app.channel('texts/:text', { binary: false, onPublish: ({ data }) => void expect<Equal<typeof data, unknown>>() })
}
