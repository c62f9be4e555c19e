import { textFrame } from '../protocol/frame.ts'
import { presencePush, publicationFrames } from '../protocol/replies.ts'
import type { Format } from './feed.ts'

/** `{"push":{"channel":…,"pub":{…}}}`, as clients of the channel protocol get it. */
export const channelFormat: Format = {
  name: 'channel',
  encoder: publicationFrames,
  presence: (channel, kind, info) => textFrame(presencePush(channel, kind, info.toString()))
}
