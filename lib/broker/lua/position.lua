-- Prelude of publish.lua, history.lua and history-remove.lua: the position of a channel.
--
-- position(meta, stream, fresh, now, ttl, known)
--   meta    key of the channel's hash:
--             epoch, offset   the newest position
--             at              ms of the newest publication by this server's clock, 0 before the first
--             replid          replication id of the server that gave the epoch
--             until, ttl      when the stream expires (ms), and how long it keeps a publication
--             largest, bytes  of the stream: most bytes of one publication, and of all (only if they were counted)
--             keys, keysUntil how many idempotency keys are remembered, and until when (publish.lua)
--   stream  key of the channel's stream
--   fresh   an epoch that was never used
--   now     this server's time in ms
--   ttl     ms that the position is kept after its last use; if nothing was ever published, UNUSED at most
--   known   { epoch, offset, at }: a publication that the caller has seen; an empty epoch if none
-- Returns a table of the fields above, as numbers and strings; its `isEmpty` is true if the stream is.
--
-- Guarantees: one epoch and offset never name two payloads. The epoch is a new one
--   * if the hash is gone (first use, expiry, eviction, FLUSHALL): offset 0, and what is left of a stream is deleted;
--   * if this server is not the one that gave the epoch, or has been restarted since (its replication id differs):
--     acknowledged writes may be missing. Publications that survived keep their offsets under the new epoch;
--   * if the stream is gone before its time (eviction): the counter goes on under the new epoch;
--   * if the caller has seen what is not here (a rollback, keys that were restored): the counter goes on from here.
--
-- A caller that may ask for a position can make as many as there are names: without a publication they do not stay.
local UNUSED = 600000
-- INFO costs a fifth of a publish. No server is demoted, loses writes and is promoted again within so many ms after a
-- write that survived.
local TRUSTED = 5

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua writes 1e+14 for a large whole number.
local function whole(number)
  return string.format('%.0f', number)
end

local function lifetime(offset, ttl)
  return offset == 0 and math.min(ttl, UNUSED) or ttl
end

local function replid()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)') or 'unknown'
end

local function start(meta, stream, fresh, ttl)
  redis.call('HSET', meta, 'epoch', fresh, 'offset', 0, 'at', 0, 'replid', replid(), 'until', 0)
  redis.call('HDEL', meta, 'ttl', 'largest', 'bytes')
  redis.call('PEXPIRE', meta, lifetime(0, ttl))
  redis.call('DEL', stream)
  return { epoch = fresh, offset = 0, at = 0, isEmpty = true }
end

local function renew(meta, state, fresh)
  state.epoch = fresh
  redis.call('HSET', meta, 'epoch', fresh, 'replid', replid(), 'until', state.isEmpty and 0 or whole(state.expiry))
end

local function position(meta, stream, fresh, now, ttl, known)
  local found = redis.call('HMGET', meta, 'epoch', 'offset', 'at', 'replid', 'until', 'ttl', 'largest', 'bytes')
  local offset, at = tonumber(found[2]), tonumber(found[3])
  if not found[1] or not offset or not at then return start(meta, stream, fresh, ttl) end
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
  if isEvicted or isRolledBack or (not isTrusted and found[4] ~= replid()) then renew(meta, state, fresh) end
  return state
end
