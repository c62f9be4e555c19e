-- Prelude of publish.lua and history.lua: the position of a channel.
--
-- position(meta, stream, replid, fresh, now, ttl)
--   meta    key of the channel's hash: epoch, offset, replid, until (ms: when the stream expires), ttl (ms)
--   stream  key of the channel's stream
--   replid  the master's replication id as the caller knows it, '' where it doesn't
--   fresh   an epoch that was never used
--   now     this server's time in ms
--   ttl     ms that the position is kept after its last use; where nothing was ever published, UNUSED at most
-- Returns epoch (string), offset (number) and the stream's time to live (ms, nil where unknown).
--
-- Guarantees: one epoch and offset never name two payloads. The epoch is a new one
--   * where the hash is gone (first use, expiry, eviction, FLUSHALL): offset 0, and what is left of a stream goes;
--   * where this server is not the one that gave the epoch, or has been restarted since (its replication id differs):
--     writes that were acknowledged may be missing. What survived keeps its offsets under the new epoch;
--   * where the stream is gone before its time (eviction): the counter goes on under the new epoch.
-- A caller's replication id may be out of date, so a difference is looked up (INFO, about 20 us) before it counts.
--
-- Whoever may ask for a position can make as many as there are names: without a publication they don't stay for long.
local UNUSED = 600000

local function lifetime(offset, ttl)
  return offset == 0 and math.min(ttl, UNUSED) or ttl
end

local function position(meta, stream, replid, fresh, now, ttl)
  local found = redis.call('HMGET', meta, 'epoch', 'offset', 'replid', 'until', 'ttl')
  local epoch, offset = found[1], tonumber(found[2])
  local current = replid
  if current == '' or (epoch and found[3] ~= current) then
    current = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or 'unknown'
  end
  if not epoch or not offset then
    redis.call('HSET', meta, 'epoch', fresh, 'offset', 0, 'replid', current, 'until', 0)
    redis.call('PEXPIRE', meta, lifetime(0, ttl))
    redis.call('DEL', stream)
    return fresh, 0, nil
  end
  local evicted = tonumber(found[4]) > now and redis.call('EXISTS', stream) == 0
  if evicted or found[3] ~= current then
    epoch = fresh
    redis.call('HSET', meta, 'epoch', fresh, 'replid', current, 'until', evicted and 0 or found[4])
  end
  return epoch, offset, tonumber(found[5])
end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua writes 1e+14 where a whole number is meant.
local function whole(number)
  return string.format('%.0f', number)
end
