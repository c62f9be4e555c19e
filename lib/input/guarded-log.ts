import type { FastifyBaseLogger } from 'fastify'

type Level = 'error' | 'warn' | 'info' | 'debug'

/** The logger interface of this package. A line has members and a constant message. */
export type Log = Readonly<Record<Level, (members: object, message: string) => void>>

/**
 * Wraps the application's logger, whose serializers or output stream may throw. Most of our lines are written after an
 * error was caught, and an error that is thrown there would end the process.
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

  /** Writes the message without its members, because a member could not be written. */
  #writeBare(level: Level, message: string): void {
    try {
      this.#log[level]({ incomplete: true }, message)
    } catch {
      // The logger can write nothing at all, and there is no other place to report it.
    }
  }
}
