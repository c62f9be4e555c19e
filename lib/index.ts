import realtime from './plugin.ts'

export type { ChannelOptions } from './channel-routes.ts'
export type { DrainSummary } from './drain.ts'
export type {
  AuthOptions,
  Claims,
  DrainOptions,
  HeartbeatOptions,
  LimitOptions,
  OriginMatcher,
  Rate,
  RealtimeOptions,
  RouteOptions,
  TokenSource
} from './options.ts'
export type { ConnectionInfo, DisconnectOptions, Realtime, Target } from './realtime.ts'
export type {
  PublishOptions,
  PublishResult,
  StreamPosition,
  SubscribeOptions,
  SubscribeResult
} from './socket/context.ts'
export type { RealtimeSocket, SocketStats } from './socket/realtime-socket.ts'
export type { MessageOf, SocketHandler, SocketRouteOptions, SocketSchema } from './types.ts'

export default realtime
// For require(), which Node 20.19 and later allow for ES modules: the function itself, as other plugins give it.
export { realtime as 'module.exports' }
