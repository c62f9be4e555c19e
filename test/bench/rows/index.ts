import type { Row } from '../row.ts'
import { echo } from './echo.ts'
import { burst, bursts, channels, single } from './fan-out.ts'
import { handshakes } from './handshakes.ts'
import { memory } from './memory.ts'
import { redisBursts, redisHistory, redisLatency } from './redis.ts'
import { storm } from './storm.ts'

/** In the order in which they are printed. */
export const rows: readonly Row[] = [
  bursts,
  burst,
  single,
  channels,
  echo,
  handshakes,
  memory,
  storm,
  redisBursts,
  redisHistory,
  redisLatency
]
