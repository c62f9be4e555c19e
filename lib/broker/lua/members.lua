-- Prelude of the presence and lease scripts: members of a sorted set whose score is the time (ms) they leave at.
local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Removes who should have left from the set and from the hashes beside it. Returns the time, ms.
local function purge(set, ...)
  local now = milliseconds()
  local gone = redis.call('ZRANGEBYSCORE', set, '-inf', now)
  -- unpack() of thousands of values overflows Lua's stack.
  for first = 1, #gone, 1000 do
    local last = math.min(first + 999, #gone)
    redis.call('ZREM', set, unpack(gone, first, last))
    for _, hash in ipairs({ ... }) do redis.call('HDEL', hash, unpack(gone, first, last)) end
  end
  return now
end

-- Lets a key live until its last member has left.
local function keep(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end
