import type {
  FastifyBaseLogger,
  FastifyRequest,
  FastifySchema,
  FastifyTypeProvider,
  FastifyTypeProviderDefault,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerBase,
  RawServerDefault,
  RouteGenericInterface,
  RouteShorthandOptions
} from 'fastify'
import type { ChannelOptions } from './channel-routes.ts'
// Not by its own name: inside `declare module 'fastify'` that is Fastify's RouteOptions.
import type { RouteOptions as RealtimeRouteOptions } from './options.ts'
import type { Realtime } from './realtime.ts'
import type { RealtimeSocket } from './socket/realtime-socket.ts'

/** The schemas of an `app.ws` route: those of any route that make sense for a handshake, and the messages'. */
export interface SocketSchema extends Pick<FastifySchema, 'params' | 'querystring' | 'headers'> {
  /** What each message must be; compiled at boot by the application's own validator compiler. */
  message?: unknown
}

/** A schema's type as the type provider of the application derives it. */
type Infer<TypeProvider extends FastifyTypeProvider, Schema> = unknown extends Schema
  ? unknown
  : (TypeProvider & { schema: Schema })['validator']

/** What messages of a route are: `unknown` where it has no schema for them. */
export type MessageOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { message: infer Message }
  ? Infer<TypeProvider, Message>
  : unknown

/** A route's options, for `app.ws`. */
export type SocketRouteOptions<
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer>,
  Schema,
  TypeProvider extends FastifyTypeProvider,
  Logger extends FastifyBaseLogger
> = Omit<
  RouteShorthandOptions<
    RawServer,
    RawRequest,
    RawReply,
    RouteGenericInterface,
    unknown,
    Schema & FastifySchema,
    TypeProvider,
    Logger
  >,
  'schema' | 'handler' | 'websocket' | 'wsHandler' | 'config'
> & {
  schema?: Schema & SocketSchema
  config?: { realtime?: RealtimeRouteOptions; [key: string]: unknown }
}

/** Handles one connection, and lives as long as it: returning closes with 1000, throwing with 1011. */
export type SocketHandler<
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  Schema,
  TypeProvider extends FastifyTypeProvider,
  Logger extends FastifyBaseLogger,
  Instance
> = (
  this: Instance,
  socket: RealtimeSocket<MessageOf<TypeProvider, Schema>>,
  request: FastifyRequest<
    RouteGenericInterface,
    RawServer,
    RawRequest,
    Schema & FastifySchema,
    TypeProvider,
    unknown,
    Logger
  >
) => void | Promise<void>

declare module 'fastify' {
  interface FastifyInstance<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    Logger extends FastifyBaseLogger = FastifyBaseLogger,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault
  > {
    /** What an application does beside handling its sockets. */
    readonly realtime: Realtime
    /** Declares a WebSocket route: each connection runs the handler once. See `docs/sockets.md`. */
    ws<const Schema extends SocketSchema = Record<never, never>>(
      path: string,
      options: SocketRouteOptions<RawServer, RawRequest, RawReply, Schema, TypeProvider, Logger>,
      handler: SocketHandler<
        RawServer,
        RawRequest,
        NoInfer<Schema>,
        TypeProvider,
        Logger,
        FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
      >
    ): this
    ws(
      path: string,
      handler: SocketHandler<
        RawServer,
        RawRequest,
        Record<never, never>,
        TypeProvider,
        Logger,
        FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
      >
    ): this
    /** Declares how the channels of a pattern (`boards/:board`) behave. See `docs/channels.md`. */
    channel(pattern: string, options?: ChannelOptions): this
  }

  interface FastifyContextConfig {
    /** This route's own settings of fastify-realtime. */
    realtime?: RealtimeRouteOptions
  }
}
