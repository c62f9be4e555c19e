import type { Row } from '../row.ts'
import { channels } from './channels.ts'
import { drain } from './drain.ts'
import { echo } from './echo.ts'
import { burst, bursts, single, sustained } from './fan-out.ts'
import { changingState, filterCost, growingText } from './forms.ts'
import { handshakes } from './handshakes.ts'
import { heartbeat } from './heartbeat.ts'
import { heap, memory } from './memory.ts'
import { redisBursts, redisHistory, redisLatency, redisPublish } from './redis.ts'
import { size } from './size.ts'
import { starting } from './start.ts'
import { storm } from './storm.ts'
import { subscriptions } from './subscriptions.ts'
import { transportBursts, transportHeap } from './transports.ts'

/** In the order in which they are measured and printed. */
export const rows: readonly Row[] = [
  handshakes,
  heap,
  memory,
  subscriptions,
  bursts,
  burst,
  single,
  sustained,
  channels,
  transportBursts,
  transportHeap,
  growingText,
  changingState,
  filterCost,
  echo,
  heartbeat,
  drain,
  storm,
  redisBursts,
  redisHistory,
  redisPublish,
  redisLatency,
  starting,
  size
]
