-- Prelude of the presence and lease scripts: members of a sorted set whose score is the time (ms) they leave at. Its
-- member '' is none of them. Its score is the time of the last addition, below zero.
local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- This server's clock was set back. What each member had left of its time at the last addition, it has left now.
local function shift(set, from, now)
  local members = redis.call('ZRANGEBYSCORE', set, '0', '+inf', 'WITHSCORES')
  for at = 1, #members, 2 do
    redis.call('ZADD', set, string.format('%.0f', members[at + 1] - from + now), members[at])
  end
  redis.call('ZADD', set, string.format('%.0f', -now), '')
end

-- Removes who should have left from the set and from the hashes beside it. Returns the time, ms.
local function purge(set, ...)
  local now = milliseconds()
  local last = redis.call('ZSCORE', set, '')
  if last and now < -last then shift(set, -last, now) end
  local gone = redis.call('ZRANGEBYSCORE', set, '0', now)
  -- unpack() of thousands of values overflows Lua's stack.
  for first = 1, #gone, 1000 do
    local last = math.min(first + 999, #gone)
    redis.call('ZREM', set, unpack(gone, first, last))
    for _, hash in ipairs({ ... }) do redis.call('HDEL', hash, unpack(gone, first, last)) end
  end
  return now
end

-- Adds a member, or renews one.
local function enter(set, member, now, ttl)
  redis.call('ZADD', set, string.format('%.0f', now + ttl), member, string.format('%.0f', -now), '')
end

-- Lets a key live until its last member has left.
local function keep(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end
