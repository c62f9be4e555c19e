import realtime from './plugin.ts'
import { ChannelError, forbidden } from './protocol/channel-errors.ts'

export type { ConnectionStats } from './connection/statistics.ts'
export type { ExceptedConnection, PublishOptions, PublishResult } from './hub/publish-options.ts'
export type { PresenceOptions, SubscribeOptions, SubscribeResult } from './hub/subscribe-options.ts'
export type {
  ConnectionsOptions,
  DisconnectOptions,
  HistoryOptions,
  SubscriptionOptions,
  Target
} from './node/call-arguments.ts'
export type { ConnectionInfo } from './node/connection-info.ts'
export type { DrainSummary } from './node/drain.ts'
export type { History, PresentClient, Realtime } from './node/realtime.ts'
export type { ConnectionPage } from './node/roster.ts'
// The whole module, because an application cannot merge its own declaration into an interface that is exported by name.
export type * from './options/claims.ts'
export type {
  CallContext,
  ChannelContext,
  ChannelHooks,
  ClientContext,
  ConnectContext,
  ConnectGrant,
  HistoryContext,
  MessageContext,
  Permission,
  PublishContext,
  PublishGrant,
  RefreshContext,
  ServerSubscription,
  SubscribeContext,
  SubscribeGrant,
  UnsubscribeContext
} from './options/hooks.ts'
export type {
  AuthOptions,
  DrainOptions,
  HeartbeatOptions,
  LimitOptions,
  LogConnections,
  OriginMatcher,
  Rate,
  RealtimeOptions,
  RouteOptions,
  TokenSource
} from './options/options.ts'
export type { Position } from './protocol/position.ts'
export type { FilterNode } from './protocol/tags-filter.ts'
export type { ChannelOptions, ChannelSchema } from './routes/channel-options.ts'
export type { PatternParams } from './routes/pattern-params.ts'
export type { MethodOptions, MethodSchema } from './routes/rpc-routes.ts'
export type {
  CallDataOf,
  MessageOf,
  ParamsOf,
  PublicationOf,
  ReplyOf,
  RequestOf,
  ResponseOf,
  RpcHandler,
  SocketHandler,
  SocketRouteOptions,
  SocketSchema
} from './routes/types.ts'
export type { RealtimeSocket } from './socket/realtime-socket.ts'
export type { RequestOptions } from './socket/requests.ts'
export { ChannelError, forbidden }

/**
 * The result of `require()`, which Node 20.19 and later allow for ES modules. Like that of other plugins, it is the
 * function itself, with the other exports as its properties.
 */
const commonjs = Object.assign(realtime, { fastifyRealtime: realtime, ChannelError, forbidden })

export default realtime
export { commonjs as 'module.exports', realtime as fastifyRealtime }
