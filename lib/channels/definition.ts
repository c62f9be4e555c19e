import type { FastifyRequest } from 'fastify'
import type { HistoryPolicy } from '../broker/broker.ts'
import type { Claims } from '../options.ts'
import type { CompiledValidator } from '../socket/validator.ts'

/** Which client a hook or handler is called for. */
export interface ClientContext {
  /** The verified claims of its token; null where the endpoint takes anonymous clients. */
  readonly user: Claims | null
  /** The connection's id. */
  readonly connection: string
  /** The request of its handshake: headers, address, logger. */
  readonly request: FastifyRequest
}

/** Which client, and which channel. */
export interface ChannelContext<Params = Readonly<Record<string, string>>> extends ClientContext {
  readonly channel: string
  /** What stands in the channel's name for the parameters of its pattern. */
  readonly params: Params
}

export interface SubscribeContext<Params = Readonly<Record<string, string>>> extends ChannelContext<Params> {
  /** What the client gave along with its subscription. */
  readonly data: unknown
  /** The subscription's token as the client gave it; empty where it gave none. */
  readonly token: string
  /** Its verified claims, with the option `token`. */
  readonly claims: Claims | undefined
}

/** What a subscription is granted with. */
export interface SubscribeGrant {
  /** Describes the client to the others on the channel (`chan_info`); a JSON value. */
  info?: unknown
  /** Handed to the client; a JSON value. */
  data?: unknown
  /**
   * When the subscription expires, in seconds since 1970. Where the channel has `token` or `onRefresh`, clients are told
   * and come with `sub_refresh` before; else they subscribe anew after it.
   */
  expiresAt?: number
}

export interface PublishContext<Params = Readonly<Record<string, string>>, Data = unknown>
  extends ChannelContext<Params> {
  /** What the client publishes, as `schema.publication` leaves it. */
  readonly data: Data
}

/** How a client's publication is made, where not as it came. */
export interface PublishGrant {
  /** Published instead; a JSON value. */
  data?: unknown
  /** Two publishes of one user with one key on one channel add one publication. */
  idempotencyKey?: string
}

export interface HistoryContext<Params = Readonly<Record<string, string>>> extends ChannelContext<Params> {
  readonly limit: number
  readonly since: { readonly offset: number; readonly epoch: string } | undefined
  readonly reverse: boolean
}

export interface UnsubscribeContext<Params = Readonly<Record<string, string>>> extends ChannelContext<Params> {
  /** 0 the client's wish, 1 its connection ended, 2000 the server's, 2500 history lost, 2501 expired. */
  readonly code: number
  readonly reason: string
}

export interface RefreshContext<Params = Readonly<Record<string, string>>> extends ChannelContext<Params> {
  /** As the client gave it. */
  readonly token: string
  /** Its verified claims, with the option `token`. */
  readonly claims: Claims | undefined
}

export interface ConnectContext extends ClientContext {
  /** What the client gave along with its connect. */
  readonly data: unknown
  /** What the client calls itself. */
  readonly name: string
  readonly version: string
}

/** What a connection is granted with. */
export interface ConnectGrant {
  /** Describes the client to others (`conn_info`); a JSON value. The token's claim `info` unless given. */
  info?: unknown
  /** Handed to the client; a JSON value. */
  data?: unknown
  /** Channels that the client is subscribed to by the server, whose hooks `onSubscribe` aren't asked. */
  subscriptions?: readonly string[]
}

export interface MessageContext extends ClientContext {
  readonly data: unknown
}

export interface CallContext<Data = unknown> extends ClientContext {
  readonly data: Data
}

// biome-ignore lint/suspicious/noConfusingVoidType: a hook need not return anything
type Maybe<T> = T | void | Promise<T | void>

/** The hooks of a channel. What they throw is answered: a `ChannelError` with its code, anything else with 100. */
export interface ChannelHooks<Params = Readonly<Record<string, string>>, Data = unknown> {
  /**
   * Throws to refuse a subscription.
   * @default every client that connects may subscribe
   */
  onSubscribe?: (context: SubscribeContext<Params>) => Maybe<SubscribeGrant>
  /**
   * Throws to refuse a client's publication.
   * @default clients may not publish
   */
  onPublish?: (context: PublishContext<Params, Data>) => Maybe<PublishGrant>
  /** A subscription has ended, whatever the reason. */
  onUnsubscribe?: (context: UnsubscribeContext<Params>) => unknown
  /**
   * Throws to refuse to say who is on the channel.
   * @default subscribers may know
   */
  onPresence?: (context: ChannelContext<Params>) => unknown
  /**
   * Throws to refuse a look into history.
   * @default subscribers may look
   */
  onHistory?: (context: HistoryContext<Params>) => unknown
  /**
   * A client wants its expiring subscription to last longer. Throws to refuse.
   * @default only with the option `token`
   */
  onRefresh?: (context: RefreshContext<Params>) => Maybe<Pick<SubscribeGrant, 'expiresAt'>>
}

/** Runs the hooks of the scope that declared something, for a client's command; throws what that is refused with. */
export type ScopeGuard = (request: FastifyRequest) => Promise<void>

/** What an application has declared for the channels of one pattern. */
export interface ChannelDefinition {
  readonly history: HistoryPolicy | undefined
  /** Milliseconds after which a dead node's entries are gone; undefined for no presence. */
  readonly presenceTtl: number | undefined
  readonly joinLeave: boolean
  readonly token: boolean
  readonly hooks: ChannelHooks
  /** Set once all plugins are loaded, where the scope has hooks. */
  guard?: ScopeGuard
  /** Compiled once all plugins are loaded. */
  readonly validators: { params?: CompiledValidator; publication?: CompiledValidator }
}

/** What an application has declared for one method. */
export interface MethodDefinition {
  handler(context: CallContext): unknown
  /** Set once all plugins are loaded, where the scope has hooks. */
  guard?: ScopeGuard
  validator?: CompiledValidator
  /** Writes a result as JSON text. */
  serializer?: (value: unknown) => string
}

/** The hooks of the endpoint itself. */
export interface EndpointHooks {
  readonly onConnect?: (context: ConnectContext) => Maybe<ConnectGrant>
  readonly onMessage?: (context: MessageContext) => unknown
}
