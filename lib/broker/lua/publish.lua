-- Publishes one message to a channel, in one step: idempotency, epoch, offset, history, delivery. After position.lua.
--
-- KEYS[1]  the channel's hash (position.lua)
-- KEYS[2]  the channel's stream; entry ids are <offset>-<ms>, fields d (data) and i (info, where there is one)
-- KEYS[3]  what was answered to this idempotency key
-- ARGV[1]  pub/sub channel
-- ARGV[2]  PUBLISH, or SPUBLISH in a cluster
-- ARGV[3]  data
-- ARGV[4]  info, '' for none
-- ARGV[5]  history size; 0 for no history: no offset, no epoch, KEYS[1] and KEYS[2] untouched
-- ARGV[6]  history ttl, ms
-- ARGV[7]  position ttl, ms
-- ARGV[8]  replication id, ARGV[9] fresh epoch (position.lua)
-- ARGV[10] idempotency ttl, ms; 0 for no key: KEYS[3] untouched
-- ARGV[11] the time by the publisher's clock, ms: for whoever measures the delivery
--
-- Reply: { 0 added | 1 duplicate | 2 conflict, offset, epoch }
--
-- Guarantees: nothing is published that was not added (an error of XADD, out of memory for one, ends the script before
-- PUBLISH), a key adds once while it is remembered, and offsets go up by one. The first write is one that a full
-- server refuses, so a refused publish leaves nothing behind.
local data, info = ARGV[3], ARGV[4]
local size, ttl, positionTtl = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local once = tonumber(ARGV[10])

local digest
if once > 0 then
  digest = redis.sha1hex(data)
  local before = redis.call('GET', KEYS[3])
  if before then
    if string.sub(before, 1, 40) ~= digest then return { 2, 0, '' } end
    local offset, epoch = string.match(before, '^(%d+),(.*)$', 41)
    return { 1, tonumber(offset), epoch }
  end
end

local epoch, offset = '', 0
if size > 0 then
  local now = milliseconds()
  epoch, offset = position(KEYS[1], KEYS[2], ARGV[8], ARGV[9], now, positionTtl)
  offset = offset + 1
  local id = whole(offset) .. '-' .. whole(now)
  if info == '' then
    redis.call('XADD', KEYS[2], 'MAXLEN', size, id, 'd', data)
  else
    redis.call('XADD', KEYS[2], 'MAXLEN', size, id, 'd', data, 'i', info)
  end
  redis.call('HSET', KEYS[1], 'offset', whole(offset), 'until', whole(now + ttl), 'ttl', ttl)
  redis.call('PEXPIRE', KEYS[2], ttl)
  redis.call('PEXPIRE', KEYS[1], positionTtl)
end
if once > 0 then redis.call('SET', KEYS[3], digest .. whole(offset) .. ',' .. epoch, 'PX', once) end
-- The form is described in envelope.ts.
local fields = info == '' and '' or ',i' .. #info
redis.call(ARGV[2], ARGV[1], '1p' .. whole(offset) .. ',' .. epoch .. ',' .. ARGV[11] .. fields .. ':' .. info .. data)
return { 0, offset, epoch }
