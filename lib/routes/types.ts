// Not a type: only so do the declarations bring along what it adds to routes (`websocket: true`).
import '@fastify/websocket'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type {
  ContextConfigDefault,
  FastifyBaseLogger,
  FastifyInstance,
  FastifyRequest,
  FastifySchema,
  FastifySchemaCompiler,
  FastifyTypeProvider,
  FastifyTypeProviderDefault,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerBase,
  RawServerDefault,
  RouteGenericInterface,
  RouteOptions,
  RouteShorthandOptions
} from 'fastify'
import type { Realtime } from '../node/realtime.ts'
import type { CallContext } from '../options/hooks.ts'
// Not by its own name: inside `declare module 'fastify'` that is Fastify's RouteOptions.
import type { RouteOptions as RealtimeRouteOptions } from '../options/options.ts'
import type { RealtimeSocket } from '../socket/realtime-socket.ts'
import type { ChannelOptions, ChannelSchema } from './channel-options.ts'
import type { PatternParams } from './pattern-params.ts'
import type { MethodSchema } from './rpc-routes.ts'

/** The schemas of an `app.ws` route: those of any route that make sense for a handshake, and the messages'. */
export interface SocketSchema extends Pick<FastifySchema, 'params' | 'querystring' | 'headers'> {
  /** What each message must be; compiled at boot by the application's own validator compiler. */
  message?: unknown
  /** What each request of the client must be; for the option `respond`. */
  request?: unknown
  /** What `respond` answers; written by the application's own serializer compiler. */
  reply?: unknown
}

/** A schema's type as the type provider of the application derives it. */
type Infer<TypeProvider extends FastifyTypeProvider, Schema> = unknown extends Schema
  ? unknown
  : (TypeProvider & { schema: Schema })['validator']

/** What messages of a route are: `unknown` where it has no schema for them. */
export type MessageOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { message: infer Message }
  ? Infer<TypeProvider, Message>
  : unknown

/** What requests of a route are: `unknown` if it has no schema for them. */
export type RequestOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { request: infer Request }
  ? Infer<TypeProvider, Request>
  : unknown

/** What `respond` may answer. */
export type ReplyOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { reply: infer Reply }
  ? (TypeProvider & { schema: Reply })['serializer']
  : unknown

/** What hooks of a channel get for the parameters of its pattern. */
export type ParamsOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { params: infer Params }
  ? Infer<TypeProvider, Params>
  : Readonly<Record<string, string>>

/** What clients publish: `unknown` where the channel has no schema for it. */
export type PublicationOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends {
  publication: infer Publication
}
  ? Infer<TypeProvider, Publication>
  : unknown

/** What a method is called with: `unknown` where it has no schema for it. */
export type CallDataOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { data: infer Data }
  ? Infer<TypeProvider, Data>
  : unknown

/** What a method may answer. */
export type ResponseOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { response: infer Response }
  ? (TypeProvider & { schema: Response })['serializer']
  : unknown

/** Answers calls of a method. What it throws is answered: a `ChannelError` with its code, anything else with 100. */
export type RpcHandler<TypeProvider extends FastifyTypeProvider, Schema, Instance> = (
  this: Instance,
  context: CallContext<CallDataOf<TypeProvider, Schema>>
) => ResponseOf<TypeProvider, Schema> | Promise<ResponseOf<TypeProvider, Schema>>

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
  'schema' | 'handler' | 'websocket' | 'wsHandler' | 'config' | 'validatorCompiler'
> & {
  schema?: (Schema & SocketSchema) | undefined
  /**
   * Answers the client's requests: `{"id":…,"request":data}`. If it throws a `ChannelError`, the client gets its code and
   * message; anything else is logged and answered with `internal`.
   * @default none: such messages are the handler's
   */
  respond?: (
    data: RequestOf<TypeProvider, NoInfer<Schema>>,
    socket: RealtimeSocket<MessageOf<TypeProvider, NoInfer<Schema>>>,
    request: FastifyRequest<
      RouteGenericInterface,
      RawServer,
      RawRequest,
      NoInfer<Schema> & FastifySchema,
      TypeProvider,
      unknown,
      Logger
    >
  ) => ReplyOf<TypeProvider, NoInfer<Schema>> | Promise<ReplyOf<TypeProvider, NoInfer<Schema>>>
  /**
   * The server may ask its clients, by `socket.request()`.
   * @default false
   */
  requests?: boolean | undefined
  /**
   * Takes messages that a client queued while it was away, `{"key":…,"message":data}`: the handler gets the data, and
   * the key as `socket.messageKey`.
   * @default false
   */
  queued?: boolean | undefined
  /** Compiles this route's schemas, whatever kind of schema it takes. */
  validatorCompiler?: FastifySchemaCompiler<never> | undefined
  config?: { realtime?: RealtimeRouteOptions | undefined; [key: string]: unknown } | undefined
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

/** Handles one connection of a route with `websocket: true`. */
export type RawSocketHandler<
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface,
  ContextConfig,
  Schema extends FastifySchema,
  TypeProvider extends FastifyTypeProvider,
  Logger extends FastifyBaseLogger
> = (
  this: FastifyInstance<Server, IncomingMessage, ServerResponse>,
  socket: RealtimeSocket,
  request: FastifyRequest<RouteGeneric, RawServer, RawRequest, Schema, TypeProvider, ContextConfig, Logger>
) => unknown

declare module 'fastify' {
  // This one and `route` stand before those of @fastify/websocket, which know ws's socket only.
  interface RouteShorthandMethod<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {
    // biome-ignore lint/style/useShorthandFunctionType: a type would not be merged with Fastify's interface
    <
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const Schema extends FastifySchema = FastifySchema,
      InnerLogger extends Logger = Logger
    >(
      path: string,
      options: RouteShorthandOptions<
        RawServer,
        RawRequest,
        RawReply,
        RouteGeneric,
        ContextConfig,
        Schema,
        TypeProvider,
        InnerLogger
      > & { websocket: true },
      handler?: RawSocketHandler<RawServer, RawRequest, RouteGeneric, ContextConfig, Schema, TypeProvider, InnerLogger>
    ): FastifyInstance<RawServer, RawRequest, RawReply, InnerLogger, TypeProvider>
  }

  interface FastifyInstance<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    Logger extends FastifyBaseLogger = FastifyBaseLogger,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault
  > {
    route<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const Schema extends FastifySchema = FastifySchema
    >(
      options: Omit<
        RouteOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, Schema, TypeProvider, Logger>,
        'handler' | 'websocket'
      > & {
        websocket: true
        handler: RawSocketHandler<RawServer, RawRequest, RouteGeneric, ContextConfig, Schema, TypeProvider, Logger>
      }
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
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
    channel<const Schema extends ChannelSchema = Record<never, never>>(
      pattern: string,
      options?: Omit<ChannelOptions<ParamsOf<TypeProvider, Schema>, PublicationOf<TypeProvider, Schema>>, 'schema'> & {
        schema?: Schema | undefined
      }
    ): this
    /**
     * The name that a declared pattern has with these parameters. Throws `FST_RT_INVALID_CHANNEL` if it would be the
     * name of another channel: if a parameter holds a `/`, and the pattern does not allow it.
     */
    channelName<const Pattern extends string>(
      pattern: Pattern,
      ...params: Record<never, never> extends PatternParams<Pattern>
        ? [params?: PatternParams<Pattern>]
        : [params: PatternParams<Pattern>]
    ): string
    /** Declares a method that clients of the channel protocol may call. See `docs/channels.md`. */
    rpc<const Schema extends MethodSchema = Record<never, never>>(
      method: string,
      options: { schema?: Schema },
      handler: RpcHandler<
        TypeProvider,
        NoInfer<Schema>,
        FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
      >
    ): this
    rpc(
      method: string,
      handler: RpcHandler<
        TypeProvider,
        Record<never, never>,
        FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
      >
    ): this
  }

  interface FastifyContextConfig {
    /** This route's own settings of fastify-realtime. */
    realtime?: RealtimeRouteOptions | undefined
  }
}
