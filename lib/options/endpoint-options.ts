import type { EndpointHooks } from './hooks.ts'

/** The option `channels`. */
export interface EndpointOptions {
  /** An older name of `websocket`. Give only one of them. */
  url?: string | undefined
  /**
   * Path of the WebSocket endpoint of the channel protocol. `false` for none.
   * @default '/connection/websocket'
   */
  websocket?: string | false | undefined
  /**
   * The endpoints for clients that cannot use WebSockets. `false` for none.
   * @default all of them
   */
  http?: HttpEndpointOptions | false | undefined
  /**
   * Calls (`app.rpc`) of one connection that run at a time, 1 to 1,024; the others wait.
   * @default 16
   */
  maxCalls?: number | undefined
  /**
   * Maximum milliseconds of a hook of a channel or a handler of a call, 100 to 600,000. After it, the client gets
   * the error 100.
   * @default 30000
   */
  hookTimeout?: number | undefined
  /** Hook for an authenticated client. It describes the client, subscribes it, or throws to refuse it. */
  onConnect?: EndpointHooks['onConnect'] | undefined
  /** Handler of messages that clients `send` without waiting for an answer. Without it, they are disconnected. */
  onMessage?: EndpointHooks['onMessage'] | undefined
}

/** The paths of the HTTP endpoints of the channel protocol. */
export interface HttpEndpointOptions {
  /**
   * Path of the endpoint for HTTP streaming. `false` for none.
   * @default '/connection/http_stream'
   */
  stream?: string | false | undefined
  /**
   * Path of the endpoint for server-sent events. `false` for none.
   * @default '/connection/sse'
   */
  sse?: string | false | undefined
  /**
   * Path to which the clients of both send their commands.
   * @default '/emulation'
   */
  emulation?: string | undefined
}
