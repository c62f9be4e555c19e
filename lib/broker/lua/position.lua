-- Prelude of publish.lua, history.lua and history-remove.lua: the position of a channel.
--
-- position(meta, stream, fresh, now, ttl, known)
--   meta    key of the channel's hash:
--             epoch, offset   the newest position
--             at              ms of the newest publication by this server's clock, 0 before the first
--             replid          replication id of the server that created the epoch
--             until, ttl      when the stream expires (ms), and how long it keeps a publication (ms)
--             largest, bytes  bytes of the stream's largest publication, and of all (only if they were counted)
--             keys, keysUntil number of remembered idempotency keys, and when the last one expires (publish.lua)
--   stream  key of the channel's stream
--   fresh   an epoch that was never used
--   now     this server's time in ms
--   ttl     ms that the position is kept after its last use; if nothing was ever published, at most UNUSED_TTL
--   known   { epoch, offset, at }: a publication that the caller has seen; an empty epoch if none
-- Returns a table of the fields above, as numbers and strings. Its `isEmpty` is true if the stream is empty.
--
-- Guarantees: one epoch and offset never name two payloads. There is a new epoch
--   * if the hash does not exist (first use, expiry, eviction, FLUSHALL): the offset is 0, and a remaining stream is
--     deleted;
--   * if this server did not create the epoch, or was restarted since (its replication id differs): acknowledged writes
--     may be missing. Publications that survived keep their offsets under the new epoch;
--   * if the stream was deleted before it expired (eviction): the counter continues under the new epoch;
--   * if the caller has seen a publication that is not here (a rollback, restored keys): the counter continues from its
--     value here.
--
-- ms. A client that may ask for positions can create any number of them, one for each channel name. So positions
-- without a publication expire soon.
local UNUSED_TTL = 600000
-- ms. INFO costs a fifth of a publish, so it is not called this soon after the last publication: no server is demoted,
-- loses writes and is promoted again in this time.
local TRUSTED = 5

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua formats a large whole number as 1e+14.
local function whole(number)
  return string.format('%.0f', number)
end

local function lifetime(offset, ttl)
  return offset == 0 and math.min(ttl, UNUSED_TTL) or ttl
end

local function replid()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or 'unknown'
end

-- Sets offset 0 of the new epoch `fresh`, and deletes the stream.
local function reset(meta, stream, fresh, ttl)
  redis.call('HSET', meta, 'epoch', fresh, 'offset', 0, 'at', 0, 'replid', replid(), 'until', 0)
  redis.call('HDEL', meta, 'ttl', 'largest', 'bytes')
  redis.call('PEXPIRE', meta, lifetime(0, ttl))
  redis.call('DEL', stream)
  return { epoch = fresh, offset = 0, at = 0, isEmpty = true }
end

-- Continues the counter under the new epoch `fresh`.
local function renewEpoch(meta, state, fresh)
  state.epoch = fresh
  redis.call('HSET', meta, 'epoch', fresh, 'replid', replid(), 'until', state.isEmpty and 0 or whole(state.expiry))
end

local function position(meta, stream, fresh, now, ttl, known)
  local found = redis.call('HMGET', meta, 'epoch', 'offset', 'at', 'replid', 'until', 'ttl', 'largest', 'bytes')
  local offset, at = tonumber(found[2]), tonumber(found[3])
  if not found[1] or not offset or not at then return reset(meta, stream, fresh, ttl) end
  local expiry = tonumber(found[5]) or 0
  local isEvicted = expiry > now and redis.call('EXISTS', stream) == 0
  local state = {
    epoch = found[1],
    offset = offset,
    at = at,
    expiry = expiry,
    ttl = tonumber(found[6]),
    largest = tonumber(found[7]),
    bytes = tonumber(found[8]),
    isEmpty = isEvicted or expiry <= now
  }
  local isRolledBack = known.epoch == state.epoch
    and (offset < known.offset or (offset == known.offset and at ~= known.at))
  local isTrusted = at <= now and now - at < TRUSTED
  if isEvicted or isRolledBack or (not isTrusted and found[4] ~= replid()) then renewEpoch(meta, state, fresh) end
  return state
end
