import type { Row } from '../row.ts'
import { echo } from './echo.ts'
import { burst, bursts, single } from './fan-out.ts'
import { handshakes } from './handshakes.ts'
import { memory } from './memory.ts'

/** In the order in which they are printed. */
export const rows: readonly Row[] = [bursts, burst, single, echo, handshakes, memory]
