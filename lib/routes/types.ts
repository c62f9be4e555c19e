// Not `import type`: otherwise the built declarations would lack the option that this module adds to routes
// (`websocket: true`).
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
// Renamed, because inside `declare module 'fastify'` the name RouteOptions is Fastify's own type.
import type { RouteOptions as RealtimeRouteOptions } from '../options/options.ts'
import type { RealtimeSocket } from '../socket/realtime-socket.ts'
import type { ChannelOptions, ChannelSchema } from './channel-options.ts'
import type { PatternParams } from './pattern-params.ts'
import type { MethodSchema } from './rpc-routes.ts'

/** The schemas of an `app.ws` route: the schemas of a route that apply to a handshake, and those of messages. */
export interface SocketSchema extends Pick<FastifySchema, 'params' | 'querystring' | 'headers'> {
  /** Each message must match it. The application's own validator compiler compiles it when the application starts. */
  message?: unknown
  /** Each request of the client must match it. Requires the option `respond`. */
  request?: unknown
  /** The answers of `respond`. They are written with the application's own serializer compiler. */
  reply?: unknown
}

/** The type of a schema, as derived by the type provider of the application. */
type Infer<TypeProvider extends FastifyTypeProvider, Schema> = unknown extends Schema
  ? unknown
  : (TypeProvider & { schema: Schema })['validator']

/** The type of a route's messages: `unknown` if it has no schema for them. */
export type MessageOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { message: infer Message }
  ? Infer<TypeProvider, Message>
  : unknown

/** The type of a route's requests: `unknown` if it has no schema for them. */
export type RequestOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { request: infer Request }
  ? Infer<TypeProvider, Request>
  : unknown

/** The type of the answers of `respond`. */
export type ReplyOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { reply: infer Reply }
  ? (TypeProvider & { schema: Reply })['serializer']
  : unknown

/** The type of the parameters of a pattern, for the hooks of a channel. */
export type ParamsOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { params: infer Params }
  ? Infer<TypeProvider, Params>
  : Readonly<Record<string, string>>

/** The type of the data that clients publish: `unknown` if the channel has no schema for it. */
export type PublicationOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends {
  publication: infer Publication
}
  ? Infer<TypeProvider, Publication>
  : unknown

/** The type of the data of a call: `unknown` if the method has no schema for it. */
export type CallDataOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { data: infer Data }
  ? Infer<TypeProvider, Data>
  : unknown

/** The type of a method's answers. */
export type ResponseOf<TypeProvider extends FastifyTypeProvider, Schema> = Schema extends { response: infer Response }
  ? (TypeProvider & { schema: Response })['serializer']
  : unknown

/** Answers calls of a method. If it throws a `ChannelError`, the answer has its code. For any other error it is 100. */
export type RpcHandler<TypeProvider extends FastifyTypeProvider, Schema, Instance> = (
  this: Instance,
  context: CallContext<CallDataOf<TypeProvider, Schema>>
) => ResponseOf<TypeProvider, Schema> | Promise<ResponseOf<TypeProvider, Schema>>

/** The options of an `app.ws` route. */
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
   * Answers the client's requests: `{"id":…,"request":data}`. If it throws a `ChannelError`, the client gets its code
   * and message. Any other error is logged and answered with `internal`.
   * @default none: the handler gets such messages
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
   * Whether the server may send requests to its clients, with `socket.request()`.
   * @default false
   */
  requests?: boolean | undefined
  /**
   * Whether the route accepts messages that a client queued while it was offline, `{"key":…,"message":data}`. The
   * handler gets the data, and `socket.messageKey`, which is made from the key.
   * @default false
   */
  queued?: boolean | undefined
  /** Compiles this route's schemas, which may be of any kind. */
  validatorCompiler?: FastifySchemaCompiler<never> | undefined
  config?: { realtime?: RealtimeRouteOptions | undefined; [key: string]: unknown } | undefined
}

/** Handles one connection. It is closed with 1000 when the returned promise resolves, and with 1011 if it fails. */
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
  // These signatures and that of `route` have precedence over those of @fastify/websocket, which only know ws's socket.
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
    /** The functions of an application that do not belong to a single socket. */
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
    /** Declares the options of the channels of a pattern (`boards/:board`). See `docs/channels.md`. */
    channel<const Schema extends ChannelSchema = Record<never, never>, const Binary extends boolean = false>(
      pattern: string,
      options?: Omit<
        ChannelOptions<
          ParamsOf<TypeProvider, Schema>,
          Binary extends true ? Buffer : PublicationOf<TypeProvider, Schema>
        >,
        'schema' | 'binary'
      > & { schema?: Schema | undefined; binary?: Binary | undefined }
    ): this
    /**
     * Returns the channel name of a declared pattern with these parameters. Throws `FST_RT_INVALID_CHANNEL` if it would
     * be the name of another channel: for example if a parameter contains a `/` and the pattern does not allow it.
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
    /** The settings of fastify-realtime for this route. */
    realtime?: RealtimeRouteOptions | undefined
  }
}
