-- Publishes messages to a channel, in their order and in one step: idempotency, epoch, offset, history, delivery.
-- After position.lua.
--
-- KEYS[1]  the channel's hash (position.lua)
-- KEYS[2]  the channel's stream; entry ids are <offset>-0, so that Redis takes no offset twice; fields d (data), a (when
--          it was added, ms), i (info, '' for none) and x (the connection that is not given it); the last ones if needed
-- KEYS[3]  hash: idempotency key to <when it is forgotten, ms>,<digest of the data>,<offset>,<epoch>
-- KEYS[4]  sorted set: idempotency key by when it is forgotten
-- ARGV[1]  pub/sub channel
-- ARGV[2]  PUBLISH, or SPUBLISH in a cluster
-- ARGV[3]  history size; 0 for no history: no offset, no epoch, KEYS[1] and KEYS[2] untouched
-- ARGV[4]  history ttl, ms
-- ARGV[5]  most bytes of data in the history; the newest publication stays, however large it is
-- ARGV[6]  position ttl, ms
-- ARGV[7]  fresh epoch
-- ARGV[8]  epoch, ARGV[9] offset, ARGV[10] ms of a publication that the caller has seen (position.lua)
-- ARGV[11] the time by the publisher's clock, ms: for whoever measures the delivery
-- and for each message, from ARGV[12] on
--          data; info, '' for none; the id of the connection that is not given it, '' for none;
--          idempotency key, '' for none;
--          how long the key is remembered, ms, or -1 if `data` is a whole message of which nothing is kept
--
-- Reply: for each message { 0 added | 1 duplicate | 2 conflict | 3 nobody knows, offset, epoch }
--
-- Guarantees: nothing is published that was not added (an error of XADD, out of memory for one, ends the script before
-- PUBLISH). A key adds once while it is remembered; if keys were deleted before their time, the epoch is a new one, and
-- the stream is deleted.
-- Offsets go up by one. The first write is one that a full server refuses, so a refused publish leaves nothing behind.
-- An error after a message was added ends nothing: the reply says that the outcome is unknown.
local size, ttl, maxBytes, positionTtl = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local UNLIMITED = '9007199254740991'
local now = milliseconds()
local state
if size > 0 then
  local known = { epoch = ARGV[8], offset = tonumber(ARGV[9]), at = tonumber(ARGV[10]) }
  state = position(KEYS[1], KEYS[2], ARGV[7], now, positionTtl, known)
end

-- A key that is missing before its time may have added a publication of this epoch, which a retry adds once more. The new
-- epoch begins without the stream: a publication that survived would be in it beside its retry.
local function checkKeys()
  local count = redis.call('HLEN', KEYS[3])
  local isWhole = redis.call('ZCARD', KEYS[4]) == count
  local before = state and redis.call('HMGET', KEYS[1], 'keys', 'keysUntil')
  local isMissing = before and before[1] and tonumber(before[2]) > now and tonumber(before[1]) ~= count
  if state and (isMissing or not isWhole) then
    state.isEmpty = true
    renew(KEYS[1], state, ARGV[7])
    redis.call('HSET', KEYS[1], 'keys', isWhole and count or 0)
    redis.call('DEL', KEYS[2])
  end
  if not isWhole then redis.call('DEL', KEYS[3], KEYS[4]) end
end

-- What was answered to a key: its parts, if it is still remembered.
local function recall(key)
  local before = redis.call('HGET', KEYS[3], key)
  local expiry, digest, offset, epoch = string.match(before or '', '^(%d+),(%x+),(%d+),(.*)$')
  if expiry and tonumber(expiry) > now then return { digest = digest, offset = tonumber(offset), epoch = epoch } end
end

-- Adds one key and forgets four at most, so those whose time is over do not pile up.
local function remember(key, life, digest, offset, epoch)
  local over = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', whole(now), 'LIMIT', 0, 4)
  if #over > 0 then
    redis.call('HDEL', KEYS[3], unpack(over))
    redis.call('ZREM', KEYS[4], unpack(over))
  end
  redis.call('HSET', KEYS[3], key, whole(now + life) .. ',' .. digest .. ',' .. whole(offset) .. ',' .. epoch)
  redis.call('ZADD', KEYS[4], whole(now + life), key)
  if redis.call('PTTL', KEYS[3]) < life then redis.call('PEXPIRE', KEYS[3], life) end
  if redis.call('PTTL', KEYS[4]) < life then redis.call('PEXPIRE', KEYS[4], life) end
  if not state then return end
  local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')
  redis.call('HSET', KEYS[1], 'keys', redis.call('HLEN', KEYS[3]), 'keysUntil', whole(tonumber(last[2])))
end

-- `call` is redis.call or redis.pcall. While bytes are counted, only `trim` drops publications.
local function append(call, data, info, except)
  local id = whole(state.offset + 1) .. '-0'
  local limit = state.bytes and UNLIMITED or size
  local more = {}
  if info ~= '' or except ~= '' then more = { 'i', info } end
  if except ~= '' then more = { 'i', info, 'x', except } end
  return call('XADD', KEYS[2], 'MAXLEN', limit, id, 'd', data, 'a', whole(now), unpack(more))
end

-- Adds a publication, or ends the script with Redis's error. If the stream is ahead of the counter, the counter was
-- set back: it goes on after the stream, under a new epoch.
local function add(data, info, except)
  local result = append(redis.pcall, data, info, except)
  if type(result) == 'table' and result.err then
    local newest = string.find(result.err, 'equal or smaller') and redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
    if newest then
      state.offset = tonumber(string.match(newest[1], '^%d+'))
      if state.epoch ~= ARGV[7] then renew(KEYS[1], state, ARGV[7]) end
    end
    append(redis.call, data, info, except)
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

-- Drops the oldest until the history is within its bounds. Each is read once, when it is dropped.
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

-- Bytes are counted from when so many publications of the largest size could be too many: in most channels never.
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

-- The form is described in envelope.ts.
local function message(data, info, except, previous)
  local offset = state and whole(state.offset) .. '-' .. whole(now) .. '-' .. whole(previous) or '0'
  local epoch = state and state.epoch or ''
  local fields = info == '' and '' or ',i' .. #info
  if except ~= '' then fields = fields .. ',x' .. #except end
  return '1p' .. offset .. ',' .. epoch .. ',' .. ARGV[11] .. fields .. ':' .. info .. except .. data
end

local isOnce = false
for first = 12, #ARGV, 5 do isOnce = isOnce or ARGV[first + 3] ~= '' end
if isOnce then checkKeys() end
-- An empty stream begins to be counted anew.
if state and state.isEmpty then
  if state.bytes then redis.call('HDEL', KEYS[1], 'bytes') end
  state.largest, state.bytes = 0, nil
end

local replies, messages, added = {}, {}, {}
local isSound = true
for first = 12, #ARGV, 5 do
  local data, info, except, key, life = unpack(ARGV, first, first + 4)
  life = tonumber(life)
  local digest = key ~= '' and redis.sha1hex(data)
  local before = digest and recall(key)
  local reply = { 0, 0, '' }
  if before then
    reply = before.digest == digest and { 1, before.offset, before.epoch } or { 2, 0, '' }
  else
    local isFirst = #added == 0
    if life < 0 then
      messages[#messages + 1] = data
    elseif state then
      local previous = isFirst and state.at or now
      add(data, info, except)
      reply = { 0, state.offset, state.epoch }
      messages[#messages + 1] = message(data, info, except, previous)
    else
      messages[#messages + 1] = message(data, info, except)
    end
    added[#added + 1] = reply
    if digest and isFirst and not state then
      remember(key, life, digest, 0, '')
    elseif digest then
      isSound = pcall(remember, key, life, digest, reply[2], reply[3]) and isSound
    end
  end
  replies[#replies + 1] = reply
end

if state and #added > 0 then isSound = pcall(save) and isSound end
for at = 1, #messages do
  if isSound then isSound = pcall(redis.call, ARGV[2], ARGV[1], messages[at]) end
  if not isSound then added[at][1] = 3 end
end
return replies
