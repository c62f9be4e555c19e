-- Reads a channel's position and a page of its history. After position.lua.
--
-- KEYS[1]  the channel's hash (position.lua)
-- KEYS[2]  the channel's stream (publish.lua)
-- ARGV[1]  most publications; 0 for the position alone
-- ARGV[2]  XRANGE, or XREVRANGE for the newest first
-- ARGV[3]  where to begin, ARGV[4] where to end: arguments of that command
-- ARGV[5]  position ttl, ms
-- ARGV[6]  replication id, ARGV[7] fresh epoch (position.lua)
-- ARGV[8]  most bytes of data together, or one publication that is larger; 0 for no limit
--
-- Reply: { epoch, offset, entries as the command gives them, this server's time in ms }
--
-- Guarantees: the page and the position are of one moment; nothing older than the history's ttl is in it; a channel
-- that was never used has an epoch afterwards. Reading keeps the position alive.
local limit, positionTtl = tonumber(ARGV[1]), tonumber(ARGV[5])
local now = milliseconds()
local epoch, offset, ttl = position(KEYS[1], KEYS[2], ARGV[6], ARGV[7], now, positionTtl)
-- Half the time is soon enough: most reads then write nothing.
local life = lifetime(offset, positionTtl)
if redis.call('PTTL', KEYS[1]) * 2 < life then redis.call('PEXPIRE', KEYS[1], life) end
if limit == 0 then return { epoch, offset, {}, now } end

-- The stream as a whole expires `ttl` after the last publication, each entry on its own here. Times go up with the
-- offsets, so the first live entry is found by halving.
local function expired(entry)
  return tonumber(string.match(entry[1], '-(%d+)$')) + ttl <= now
end

local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
if oldest and expired(oldest) then
  local low, high = tonumber(string.match(oldest[1], '^%d+')) + 1, offset + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call('XRANGE', KEYS[2], whole(middle), whole(middle))[1]
    if entry and expired(entry) then low = middle + 1 else high = middle end
  end
  redis.call('XTRIM', KEYS[2], 'MINID', whole(low))
end

local maxBytes = tonumber(ARGV[8])
if maxBytes == 0 then
  return { epoch, offset, redis.call(ARGV[2], KEYS[2], ARGV[3], ARGV[4], 'COUNT', limit), now }
end
-- A few at a time: what is past the limit has been read for nothing.
local entries, bytes, from = {}, 0, ARGV[3]
repeat
  local count = math.min(32, limit - #entries)
  local few = redis.call(ARGV[2], KEYS[2], from, ARGV[4], 'COUNT', count)
  for _, entry in ipairs(few) do
    bytes = bytes + #entry[2][2]
    if bytes > maxBytes and #entries > 0 then return { epoch, offset, entries, now } end
    entries[#entries + 1] = entry
    from = '(' .. entry[1]
  end
until #few < count or #entries == limit
return { epoch, offset, entries, now }
