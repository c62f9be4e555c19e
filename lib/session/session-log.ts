import { BoundedLog } from '../connection/bounded-log.ts'
import { clipped } from '../input/clipped.ts'
import type { Log } from '../input/guarded-log.ts'
import type { Claims } from '../options/options.ts'
import type { Command } from '../protocol/commands.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'

/** The log lines about one client of the channel protocol. Their rate is limited, because any client can cause them. */
export class SessionLog {
  readonly #connection: string
  readonly #log: Log
  readonly #wheel: TimerWheel
  #denials: BoundedLog | undefined
  #failures: BoundedLog | undefined

  constructor(connection: string, log: Log, wheel: TimerWheel) {
    this.#connection = connection
    this.#log = log
    this.#wheel = wheel
  }

  /** The application failed in a command or a hook of this client. */
  failed(details: Readonly<Record<string, unknown>>, message: string): void {
    this.#failures ??= new BoundedLog(this.#log, this.#wheel)
    this.#failures.error({ ...details, connection: this.#connection }, message)
  }

  /** A command was refused with 103. The line says which client tried it, and what it was. */
  denied({ name, request }: Command, client: Claims | null): void {
    this.#denials ??= new BoundedLog(this.#log, this.#wheel)
    const channel = 'channel' in request ? clipped(request.channel) : undefined
    const user = client?.sub === undefined ? undefined : clipped(client.sub)
    this.#denials.info({ connection: this.#connection, user, command: name, channel }, 'channel command denied')
  }
}
