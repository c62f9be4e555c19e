import { EventEmitter } from 'node:events'
import { Command } from 'ioredis'
import type { RedisClient } from '../../../lib/broker/redis/options.ts'

/** What a client of ioredis rejects with where a server answered with an error. */
export function said(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' })
}

type Answer = (...args: readonly unknown[]) => unknown

/**
 * A client of ioredis as far as the broker goes, without a server: what it is called with stands in `calls`, what it
 * answers in `answers`, which are taken by the command's name.
 */
export class FakeClient extends EventEmitter {
  readonly calls: string[] = []
  readonly isCluster: boolean
  /** Commands that aren't here are answered with OK. */
  readonly answers: Record<string, Answer> = {}
  readonly stream = {
    corked: 0,
    cork: () => void this.stream.corked++,
    uncork: () => void this.stream.corked--
  }
  /** Of a cluster with one server, it is both the client and its connection to that server. */
  readonly options = { host: '10.0.0.1', port: 1 }
  readonly slots: string[][] = Array.from({ length: 16_384 }, () => ['10.0.0.1:1'])
  status = 'ready'
  ended = false

  constructor(isCluster = false) {
    super()
    this.isCluster = isCluster
  }

  /** What an ioredis client is to the code under test. */
  get asRedis(): RedisClient {
    return this as unknown as RedisClient
  }

  /** The calls of one command, without its name. */
  callsOf(command: string): string[] {
    return this.calls.filter((call) => call.split(' ', 1)[0] === command).map((call) => call.slice(command.length + 1))
  }

  nodes(): FakeClient[] {
    return [this]
  }

  connect(): Promise<unknown> {
    return this.#call('connect')
  }

  /** As ioredis: `end` comes in a later turn. */
  disconnect(): void {
    this.calls.push('disconnect')
    setImmediate(() => this.end())
  }

  /** The connection is gone. */
  end(): void {
    if (this.ended) return
    this.ended = true
    this.emit('end')
  }

  subscribe(...topics: string[]): Promise<unknown> {
    return this.#call('subscribe', ...topics)
  }

  ssubscribe(...topics: string[]): Promise<unknown> {
    return this.#call('ssubscribe', ...topics)
  }

  unsubscribe(topic: string): Promise<unknown> {
    return this.#call('unsubscribe', topic)
  }

  sunsubscribe(topic: string): Promise<unknown> {
    return this.#call('sunsubscribe', topic)
  }

  publish(topic: string, message: string): Promise<unknown> {
    return this.#call('publish', topic, message)
  }

  spublish(topic: string, message: string): Promise<unknown> {
    return this.#call('spublish', topic, message)
  }

  set(...args: string[]): Promise<unknown> {
    return this.#call('set', ...args)
  }

  info(section: string): Promise<unknown> {
    return this.#call('info', section)
  }

  cluster(command: string): Promise<unknown> {
    return this.#call('cluster', command)
  }

  /** As ioredis: the command is made here and handed over. */
  ping(this: { sendCommand(command: Command): unknown }): unknown {
    return this.sendCommand(new Command('ping'))
  }

  defineCommand(name: string): void {
    this.calls.push(`defineCommand ${name}`)
  }

  async #call(command: string, ...args: readonly unknown[]): Promise<unknown> {
    this.calls.push([command, ...args].join(' '))
    const answer = this.answers[command]
    return answer === undefined ? 'OK' : answer(...args)
  }
}
