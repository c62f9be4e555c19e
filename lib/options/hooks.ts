import type { FastifyRequest } from 'fastify'
import type { Claims } from './claims.ts'

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
  expiresAt?: number | undefined
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
  idempotencyKey?: string | undefined
  /**
   * Whether the client is given its own publication.
   * @default the channel's option `echo`
   */
  echo?: boolean | undefined
}

export interface HistoryContext<Params = Readonly<Record<string, string>>> extends ChannelContext<Params> {
  /** How many publications the client asks for; below 0, as for a recovery, all that are kept. */
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
  /** Channels that the server subscribes the client to. They need no `onSubscribe`, and it is not asked. */
  subscriptions?: readonly string[] | undefined
}

export interface MessageContext extends ClientContext {
  readonly data: unknown
}

export interface CallContext<Data = unknown> extends ClientContext {
  readonly data: Data
}

// biome-ignore lint/suspicious/noConfusingVoidType: a hook need not return anything
type Maybe<T> = T | void | Promise<T | void>

/** A hook without which clients may not do something; `true` stands for every connected client. */
export type Permission<Context, Grant> = true | ((context: Context) => Maybe<Grant>)

/**
 * The hooks of a channel. If one throws, the client is answered: a `ChannelError` with its code, anything else with 100.
 * `false` is no answer: it is taken for an error of the application.
 */
export interface ChannelHooks<Params = Readonly<Record<string, string>>, Data = unknown> {
  /**
   * Throws to refuse a subscription; `true` lets every connected client subscribe. Subscriptions that the server makes
   * need no hook.
   * @default clients may not subscribe; with the option `token`, a valid subscription token is enough
   */
  onSubscribe?: Permission<SubscribeContext<Params>, SubscribeGrant> | undefined
  /**
   * Throws to refuse a client's publication; `true` lets every client publish that the option `publishers` names.
   * @default clients may not publish
   */
  onPublish?: Permission<PublishContext<Params, Data>, PublishGrant> | undefined
  /** A subscription has ended, whatever the reason. */
  onUnsubscribe?: ((context: UnsubscribeContext<Params>) => unknown) | undefined
  /**
   * Throws to refuse to tell a client who is on the channel: in `presence`, and as it changes (join and leave).
   * @default subscribers may know
   */
  onPresence?: ((context: ChannelContext<Params>) => unknown) | undefined
  /**
   * Throws to refuse a look into history, also for a client that subscribes and asks for what it missed.
   * @default subscribers may look
   */
  onHistory?: ((context: HistoryContext<Params>) => unknown) | undefined
  /**
   * A client asks for more time for its expiring subscription. Throws to refuse. If it returns no `expiresAt`, the new
   * token gives the new end; without one the end stays.
   * @default subscribers may ask; with the option `token` the new token gives the new end, otherwise the end stays
   */
  onRefresh?: ((context: RefreshContext<Params>) => Maybe<Pick<SubscribeGrant, 'expiresAt'>>) | undefined
}

/** The hooks of the endpoint itself. */
export interface EndpointHooks {
  readonly onConnect?: (context: ConnectContext) => Maybe<ConnectGrant>
  readonly onMessage?: (context: MessageContext) => unknown
}
