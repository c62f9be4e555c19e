-- Publishes messages to a channel, in their order and in one step: idempotency, epoch, offset, history, delivery.
-- Needs position.lua before it.
--
-- KEYS[1]  the channel's hash (position.lua)
-- KEYS[2]  the channel's stream. Entry ids are <offset>-0, so that Redis refuses an offset that is used twice. Fields:
--          d (data), a (ms when it was added), i (info), x (the connection that does not receive it), t (tags, JSON),
--          b (1 if the data is bytes, and not JSON), each '' for none; of the last four, those at the end are left out
--          if there are none
-- KEYS[3]  hash: idempotency key to <expiry, ms>,<digest of the data>,<offset>,<epoch>
-- KEYS[4]  sorted set: idempotency keys, scored by their expiry, ms
-- ARGV[1]  pub/sub channel
-- ARGV[2]  PUBLISH, or SPUBLISH in a cluster
-- ARGV[3]  history size; 0 for no history: no offset, no epoch, KEYS[1] and KEYS[2] untouched
-- ARGV[4]  history ttl, ms
-- ARGV[5]  maximum bytes of data in the history; the newest publication is kept even if it alone is larger
-- ARGV[6]  position ttl, ms
-- ARGV[7]  fresh epoch
-- ARGV[8]  epoch, ARGV[9] offset, ARGV[10] ms of a publication that the caller has seen (position.lua)
-- ARGV[11] the time by the publisher's clock, ms; subscribers can measure the delivery time with it
-- and for each message, from ARGV[12] on
--          data; info, '' for none; the id of the connection that does not receive it, '' for none;
--          tags as JSON, '' for none; 1 if the data is bytes, '' if it is JSON; idempotency key, '' for none;
--          ttl of the key, ms, or -1 if `data` is a complete message that is not stored
--
-- Reply: for each message { 0 added | 1 duplicate | 2 conflict | 3 outcome unknown, offset, epoch }
--
-- Guarantees:
--   * No message is published that was not added: an error of XADD (out of memory, for example) ends the script before
--     PUBLISH.
--   * A key adds one publication until it expires. If keys were deleted before they expired, there is a new epoch, and
--     the stream is deleted.
--   * Offsets increase by one.
--   * The first write is one that a full server refuses, so a refused publish changes nothing.
--   * An error after a message was added does not end the script: the reply says that the outcome is unknown.
local size, ttl, maxBytes, positionTtl = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local UNLIMITED = '9007199254740991'
local now = milliseconds()
local state
if size > 0 then
  local known = { epoch = ARGV[8], offset = tonumber(ARGV[9]), at = tonumber(ARGV[10]) }
  state = position(KEYS[1], KEYS[2], ARGV[7], now, positionTtl, known)
end

-- If a key was deleted before it expired, its publication may be in this epoch, and a retry adds it once more. So a new
-- epoch begins without the stream. Otherwise the new epoch could contain both the publication and its retry.
local function checkKeys()
  local count = redis.call('HLEN', KEYS[3])
  local isComplete = redis.call('ZCARD', KEYS[4]) == count
  local saved = state and redis.call('HMGET', KEYS[1], 'keys', 'keysUntil')
  local isMissing = saved and saved[1] and tonumber(saved[2]) > now and tonumber(saved[1]) ~= count
  if state and (isMissing or not isComplete) then
    state.isEmpty = true
    renewEpoch(KEYS[1], state, ARGV[7])
    redis.call('HSET', KEYS[1], 'keys', isComplete and count or 0)
    redis.call('DEL', KEYS[2])
  end
  if not isComplete then redis.call('DEL', KEYS[3], KEYS[4]) end
end

-- The stored answer to a key, unless the key has expired.
local function recall(key)
  local stored = redis.call('HGET', KEYS[3], key)
  local expiry, digest, offset, epoch = string.match(stored or '', '^(%d+),(%x+),(%d+),(.*)$')
  if expiry and tonumber(expiry) > now then return { digest = digest, offset = tonumber(offset), epoch = epoch } end
end

-- Adds one key and deletes up to four expired keys, so that expired keys do not accumulate.
local function remember(key, keyTtl, digest, offset, epoch)
  local expired = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', whole(now), 'LIMIT', 0, 4)
  if #expired > 0 then
    redis.call('HDEL', KEYS[3], unpack(expired))
    redis.call('ZREM', KEYS[4], unpack(expired))
  end
  redis.call('HSET', KEYS[3], key, whole(now + keyTtl) .. ',' .. digest .. ',' .. whole(offset) .. ',' .. epoch)
  redis.call('ZADD', KEYS[4], whole(now + keyTtl), key)
  if redis.call('PTTL', KEYS[3]) < keyTtl then redis.call('PEXPIRE', KEYS[3], keyTtl) end
  if redis.call('PTTL', KEYS[4]) < keyTtl then redis.call('PEXPIRE', KEYS[4], keyTtl) end
  if not state then return end
  local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')
  redis.call('HSET', KEYS[1], 'keys', redis.call('HLEN', KEYS[3]), 'keysUntil', whole(tonumber(last[2])))
end

-- `call` is redis.call or redis.pcall. If bytes are counted, only `trim` drops publications.
local function append(call, data, info, except, tags, binary)
  local id = whole(state.offset + 1) .. '-0'
  local limit = state.bytes and UNLIMITED or size
  local more = {}
  if binary ~= '' then
    more = { 'i', info, 'x', except, 't', tags, 'b', binary }
  elseif tags ~= '' then
    more = { 'i', info, 'x', except, 't', tags }
  elseif except ~= '' then
    more = { 'i', info, 'x', except }
  elseif info ~= '' then
    more = { 'i', info }
  end
  return call('XADD', KEYS[2], 'MAXLEN', limit, id, 'd', data, 'a', whole(now), unpack(more))
end

-- Adds a publication, or ends the script with Redis's error. If the stream is ahead of the counter, the counter was
-- set back: it continues after the stream's newest entry, under a new epoch.
local function add(data, info, except, tags, binary)
  local result = append(redis.pcall, data, info, except, tags, binary)
  if type(result) == 'table' and result.err then
    local isBehind = string.find(result.err, 'equal or smaller')
    local newest = isBehind and redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
    if newest then
      state.offset = tonumber(string.match(newest[1], '^%d+'))
      if state.epoch ~= ARGV[7] then renewEpoch(KEYS[1], state, ARGV[7]) end
    end
    append(redis.call, data, info, except, tags, binary)
  end
  state.offset = state.offset + 1
  state.largest = math.max(state.largest or 0, #data)
  if state.bytes then state.bytes = state.bytes + #data end
end

local function count()
  local bytes, from = 0, '-'
  repeat
    local entry = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 1)[1]
    if entry then
      bytes = bytes + #entry[2][2]
      from = '(' .. entry[1]
    end
  until not entry
  return bytes
end

-- Drops the oldest publications until the history is within its bounds. Each is read once, when it is dropped.
local function trim()
  local left, from, first = redis.call('XLEN', KEYS[2]), '-', nil
  while left > 1 and (left > size or state.bytes > maxBytes) do
    local oldest = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 1)[1]
    from = '(' .. oldest[1]
    first = tonumber(string.match(oldest[1], '^%d+')) + 1
    state.bytes = state.bytes - #oldest[2][2]
    left = left - 1
  end
  if first then redis.call('XTRIM', KEYS[2], 'MINID', whole(first)) end
end

-- Counting bytes begins when `size` publications of the largest size would exceed `maxBytes`. In most channels it never
-- begins.
local function save()
  if not state.bytes and state.largest * size > maxBytes then state.bytes = count() end
  if state.bytes then
    trim()
    redis.call('HSET', KEYS[1], 'bytes', whole(state.bytes))
  end
  redis.call(
    'HSET', KEYS[1], 'offset', whole(state.offset), 'at', whole(now),
    'until', whole(now + ttl), 'ttl', ttl, 'largest', whole(state.largest)
  )
  redis.call('PEXPIRE', KEYS[2], ttl)
  redis.call('PEXPIRE', KEYS[1], positionTtl)
end

-- envelope.ts describes the format.
local function message(data, info, except, tags, binary, previous)
  local offset = state and whole(state.offset) .. '-' .. whole(now) .. '-' .. whole(previous) or '0'
  local epoch = state and state.epoch or ''
  local fields = info == '' and '' or ',i' .. #info
  if except ~= '' then fields = fields .. ',x' .. #except end
  if tags ~= '' then fields = fields .. ',t' .. #tags end
  local version = binary == '' and '1p' or '2p'
  return version .. offset .. ',' .. epoch .. ',' .. ARGV[11] .. fields .. ':' .. info .. except .. tags .. data
end

local isOnce = false
for first = 12, #ARGV, 7 do isOnce = isOnce or ARGV[first + 5] ~= '' end
if isOnce then checkKeys() end
-- In an empty stream, sizes are counted from zero.
if state and state.isEmpty then
  if state.bytes then redis.call('HDEL', KEYS[1], 'bytes') end
  state.largest, state.bytes = 0, nil
end

local replies, messages, added = {}, {}, {}
local isOk = true
for first = 12, #ARGV, 7 do
  local data, info, except, tags, binary, key, keyTtl = unpack(ARGV, first, first + 6)
  keyTtl = tonumber(keyTtl)
  local digest = key ~= '' and redis.sha1hex(data)
  local stored = digest and recall(key)
  local reply = { 0, 0, '' }
  if stored then
    reply = stored.digest == digest and { 1, stored.offset, stored.epoch } or { 2, 0, '' }
  else
    local isFirst = #added == 0
    if keyTtl < 0 then
      messages[#messages + 1] = data
    elseif state then
      local previous = isFirst and state.at or now
      add(data, info, except, tags, binary)
      reply = { 0, state.offset, state.epoch }
      messages[#messages + 1] = message(data, info, except, tags, binary, previous)
    else
      messages[#messages + 1] = message(data, info, except, tags, binary)
    end
    added[#added + 1] = reply
    if digest and isFirst and not state then
      remember(key, keyTtl, digest, 0, '')
    elseif digest then
      isOk = pcall(remember, key, keyTtl, digest, reply[2], reply[3]) and isOk
    end
  end
  replies[#replies + 1] = reply
end

if state and #added > 0 then isOk = pcall(save) and isOk end
for at = 1, #messages do
  if isOk then isOk = pcall(redis.call, ARGV[2], ARGV[1], messages[at]) end
  if not isOk then added[at][1] = 3 end
end
return replies
