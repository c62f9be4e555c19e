import { clipped, clippedValue } from './clipped.ts'

// Maximum number of issues that are sent to a client (and of members of one issue), and maximum bytes of each member.
// Issues quote the client's message, and there may be one for each of its items.
const MAX_ISSUES = 10
const MEMBER_BYTES = 128

/** A validator's issues, bounded for an error message. Throws for values that JSON can't represent. */
export function boundedIssues(issues: readonly unknown[]): readonly unknown[] {
  return issues.slice(0, MAX_ISSUES).map(bounded)
}

function bounded(issue: unknown): unknown {
  if (typeof issue !== 'object' || issue === null || Array.isArray(issue)) return clippedValue(issue, MEMBER_BYTES)
  const members = Object.entries(issue).map(([name, value]) => [
    clipped(name, MEMBER_BYTES),
    clippedValue(value, MEMBER_BYTES)
  ])
  return Object.fromEntries(members.slice(0, MAX_ISSUES))
}
