import type { Format } from '../hub/feed.ts'
import { textFrame } from '../protocol/frame.ts'
import { presencePush, publicationFrame, publicationHead } from '../protocol/replies.ts'

/** `{"push":{"channel":…,"pub":{…}}}`, as clients of the channel protocol receive it. */
export const channelFormat: Format = {
  name: 'channel',
  head: publicationHead,
  encode: publicationFrame
}

/** The same, for clients that also receive joins and leaves. */
export const channelFormatWithJoins: Format = {
  ...channelFormat,
  name: 'channel with joins',
  presence: (channel, kind, info) => textFrame(presencePush(channel, kind, info.toString()))
}
