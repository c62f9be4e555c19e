-- Prelude of the presence and lease scripts: members of a sorted set. The score of a member is the time (ms) at which
-- it expires. The entry '' is not a member: its score is the negative time of the last addition.
local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- This server's clock was set back. Each member gets the remaining time that it had at the last addition.
local function shift(set, from, now)
  local members = redis.call('ZRANGEBYSCORE', set, '0', '+inf', 'WITHSCORES')
  for at = 1, #members, 2 do
    redis.call('ZADD', set, string.format('%.0f', members[at + 1] - from + now), members[at])
  end
  redis.call('ZADD', set, string.format('%.0f', -now), '')
end

-- Removes expired members from the set and from the given hashes. Returns this server's time, ms.
local function purge(set, ...)
  local now = milliseconds()
  local last = redis.call('ZSCORE', set, '')
  if last and now < -last then shift(set, -last, now) end
  local expired = redis.call('ZRANGEBYSCORE', set, '0', now)
  -- unpack() of thousands of values overflows Lua's stack.
  for first = 1, #expired, 1000 do
    local last = math.min(first + 999, #expired)
    redis.call('ZREM', set, unpack(expired, first, last))
    for _, hash in ipairs({ ... }) do redis.call('HDEL', hash, unpack(expired, first, last)) end
  end
  return now
end

-- Adds or renews a member.
local function put(set, member, now, ttl)
  redis.call('ZADD', set, string.format('%.0f', now + ttl), member, string.format('%.0f', -now), '')
end

-- Extends a key's expiry until its last member has expired.
local function extend(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end
