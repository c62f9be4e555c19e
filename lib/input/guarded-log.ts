import type { FastifyBaseLogger } from 'fastify'

type Level = 'error' | 'warn' | 'info' | 'debug'

/** What this package logs with: a line has members, and a constant message. */
export type Log = Readonly<Record<Level, (members: object, message: string) => void>>

/**
 * A logger of the application's. Its serializers, or what it writes to, may throw. Most of our lines are written where an
 * error was caught already, and what is thrown there would end the process.
 */
export class GuardedLog implements Log {
  readonly #log: FastifyBaseLogger

  constructor(log: FastifyBaseLogger) {
    this.#log = log
  }

  error(members: object, message: string): void {
    this.#write('error', members, message)
  }

  warn(members: object, message: string): void {
    this.#write('warn', members, message)
  }

  info(members: object, message: string): void {
    this.#write('info', members, message)
  }

  debug(members: object, message: string): void {
    this.#write('debug', members, message)
  }

  #write(level: Level, members: object, message: string): void {
    try {
      this.#log[level](members, message)
    } catch {
      this.#writeBare(level, message)
    }
  }

  /** One of its members could not be written. */
  #writeBare(level: Level, message: string): void {
    try {
      this.#log[level]({ incomplete: true }, message)
    } catch {
      // Nothing can be written at all, and there is nowhere else to say so.
    }
  }
}
