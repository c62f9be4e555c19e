import type { FastifyRequest } from 'fastify'
import type { FilterNode } from '../protocol/tags-filter.ts'
import type { Claims } from './claims.ts'

/** The client for which a hook or handler is called. */
export interface ClientContext {
  /** The client's verified claims; null if the client is anonymous. */
  readonly user: Claims | null
  /** The connection's id. */
  readonly connection: string
  /** The request of the handshake: headers, address, logger. */
  readonly request: FastifyRequest
}

/** The client and the channel for which a hook is called. */
export interface ChannelContext<Params = Readonly<Record<string, string>>> extends ClientContext {
  readonly channel: string
  /** The values of the pattern's parameters in the channel's name. */
  readonly params: Params
}

export interface SubscribeContext<Params = Readonly<Record<string, string>>> extends ChannelContext<Params> {
  /** The data that the client sent with its subscription. */
  readonly data: unknown
  /** The subscription token that the client sent; empty if it sent none. */
  readonly token: string
  /** The verified claims of the token, if the channel has the option `token`. */
  readonly claims: Claims | undefined
}

/** Details of a subscription that `onSubscribe` allows. */
export interface SubscribeGrant {
  /** Describes the client to other clients on the channel (`chan_info`); a JSON value. */
  info?: unknown
  /** Sent to the client; a JSON value. */
  data?: unknown
  /**
   * When the subscription expires, in seconds since 1970. If the channel has `token` or `onRefresh`, clients know the
   * expiry and send `sub_refresh` before it. Otherwise they subscribe again after it.
   */
  expiresAt?: number | undefined
  /**
   * The client receives only publications whose tags pass this filter, in pushes, recoveries and `history`. If the
   * client has a filter too, a publication must pass both. Its form is that of `tagsFilter` in `centrifuge`. An invalid
   * filter fails the subscription (100). With a filter the client receives no deltas.
   * @default the client may receive all publications
   */
  filter?: FilterNode | undefined
}

/** A subscription that the server makes when a client connects. */
export interface ServerSubscription extends Pick<SubscribeGrant, 'filter'> {
  readonly channel: string
}

export interface PublishContext<Params = Readonly<Record<string, string>>, Data = unknown>
  extends ChannelContext<Params> {
  /** The data that the client publishes, after validation by `schema.publication`. With `binary`, a Buffer. */
  readonly data: Data
}

/** Changes to a publication that `onPublish` allows. */
export interface PublishGrant {
  /** Published instead of the client's data; a JSON value. With `binary`, a `Uint8Array`. */
  data?: unknown
  /** Two publishes of one user with the same key on one channel add one publication. */
  idempotencyKey?: string | undefined
  /**
   * Whether the client receives its own publication.
   * @default the channel's option `echo`
   */
  echo?: boolean | undefined
  /**
   * The tags of the publication, as for `app.realtime.publish`.
   * @default none
   */
  tags?: Readonly<Record<string, string>> | undefined
}

export interface HistoryContext<Params = Readonly<Record<string, string>>> extends ChannelContext<Params> {
  /** Number of publications that the client asks for. Below 0, as for a recovery: all that are kept. */
  readonly limit: number
  readonly since: { readonly offset: number; readonly epoch: string } | undefined
  readonly reverse: boolean
}

export interface UnsubscribeContext<Params = Readonly<Record<string, string>>> extends ChannelContext<Params> {
  /** 0: the client unsubscribed, 1: its connection ended, 2000: by the server, 2500: history lost, 2501: expired. */
  readonly code: number
  readonly reason: string
}

export interface RefreshContext<Params = Readonly<Record<string, string>>> extends ChannelContext<Params> {
  /** The new token that the client sent. */
  readonly token: string
  /** The verified claims of the token, if the channel has the option `token`. */
  readonly claims: Claims | undefined
}

export interface ConnectContext extends ClientContext {
  /** The data that the client sent with its `connect` command. */
  readonly data: unknown
  /** The name that the client gives itself. */
  readonly name: string
  readonly version: string
}

/** Details of a connection that `onConnect` allows. */
export interface ConnectGrant {
  /** Describes the client to other clients (`conn_info`); a JSON value. @default the token's claim `info` */
  info?: unknown
  /** Sent to the client; a JSON value. */
  data?: unknown
  /**
   * Channels to which the server subscribes the client. `onSubscribe` is not needed for them, and is not called: give the
   * `filter` here that it would return.
   */
  subscriptions?: readonly (string | ServerSubscription)[] | undefined
}

export interface MessageContext extends ClientContext {
  readonly data: unknown
}

export interface CallContext<Data = unknown> extends ClientContext {
  readonly data: Data
}

// biome-ignore lint/suspicious/noConfusingVoidType: a hook need not return anything
type Maybe<T> = T | void | Promise<T | void>

/** A hook that permits an action. Without it, clients may not do the action. `true` permits it to every client. */
export type Permission<Context, Grant> = true | ((context: Context) => Maybe<Grant>)

/**
 * The hooks of a channel. If a hook throws a `ChannelError`, the client gets its code; for any other error it gets 100.
 * A hook must not return `false`: that counts as an error of the application.
 */
export interface ChannelHooks<Params = Readonly<Record<string, string>>, Data = unknown> {
  /**
   * Called before a client subscribes. Throws to refuse. `true` lets every connected client subscribe. It is not called
   * for subscriptions that the server makes.
   * @default clients may not subscribe; with the option `token`, a valid subscription token is enough
   */
  onSubscribe?: Permission<SubscribeContext<Params>, SubscribeGrant> | undefined
  /**
   * Called before a client publishes. Throws to refuse. `true` lets every client publish that `publishers` allows.
   * @default clients may not publish
   */
  onPublish?: Permission<PublishContext<Params, Data>, PublishGrant> | undefined
  /** Called after a subscription has ended, for any reason. */
  onUnsubscribe?: ((context: UnsubscribeContext<Params>) => unknown) | undefined
  /**
   * Called before a client gets presence, joins or leaves. Throws to refuse.
   * @default subscribers get them
   */
  onPresence?: ((context: ChannelContext<Params>) => unknown) | undefined
  /**
   * Called before a client reads history or recovers missed publications. Throws to refuse.
   * @default subscribers may do it
   */
  onHistory?: ((context: HistoryContext<Params>) => unknown) | undefined
  /**
   * Called when a client asks for more time for its subscription. Throws to refuse. If it returns no `expiresAt`, a new
   * token sets the new expiry; without a token the expiry stays.
   * @default subscribers may ask; with the option `token` the new token sets the expiry, otherwise the expiry stays
   */
  onRefresh?: ((context: RefreshContext<Params>) => Maybe<Pick<SubscribeGrant, 'expiresAt'>>) | undefined
}

/** The hooks of the channel endpoint. */
export interface EndpointHooks {
  readonly onConnect?: (context: ConnectContext) => Maybe<ConnectGrant>
  readonly onMessage?: (context: MessageContext) => unknown
}
