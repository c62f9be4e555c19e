/** The harness for tests of WebSocket routes: a client with a queue and deadlines, and tokens. See docs/testing.md. */
export { type ConnectOptions, connect, disposeAll, type TestableApp } from './connect.ts'
export {
  ConnectFailedError,
  ConnectionClosedError,
  DeadlineError,
  HandshakeRefusedError,
  NoSignerError,
  NotOpenError,
  UnexpectedMessageError
} from './errors.ts'
export type { Closed, RawMessage, TestSocket, Wait } from './test-socket.ts'
export { type SigningApp, type TestClaims, type TestTokenOptions, testSecret, testToken } from './token.ts'
