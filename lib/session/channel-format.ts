import type { Format } from '../hub/feed.ts'
import { textFrame } from '../protocol/frame.ts'
import { presencePush, publicationFrame, publicationHead } from '../protocol/replies.ts'

/** `{"push":{"channel":…,"pub":{…}}}`, as clients of the channel protocol get it. */
export const channelFormat: Format = {
  name: 'channel',
  head: publicationHead,
  encode: publicationFrame
}

/** The same for those who want to know who comes and who goes, too. */
export const attendedChannelFormat: Format = {
  ...channelFormat,
  name: 'attended channel',
  presence: (channel, kind, info) => textFrame(presencePush(channel, kind, info.toString()))
}
