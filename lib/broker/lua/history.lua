-- Reads a channel's position and a page of its history. After position.lua.
--
-- KEYS[1]  the channel's hash (position.lua)
-- KEYS[2]  the channel's stream (publish.lua)
-- ARGV[1]  most publications; 0 for the position alone
-- ARGV[2]  the offset to begin after, or before if the newest come first; '' for an end of the history
-- ARGV[3]  1 for the newest first, else 0
-- ARGV[4]  position ttl, ms
-- ARGV[5]  fresh epoch (position.lua)
-- ARGV[6]  epoch, ARGV[7] offset, ARGV[8] ms of a publication that the caller has seen (position.lua)
-- ARGV[9]  most bytes of data together, or one publication that is larger; 0 for no limit
--
-- Reply: { epoch, offset, ms of the newest publication, entries as XRANGE gives them, this server's time in ms }
--
-- Guarantees: the page and the position are of one moment; nothing older than the history's ttl is in it; a channel
-- that was never used has an epoch afterwards; a page is of another epoch than the caller's if the publication that the
-- caller has seen is another here. Reading keeps the position alive. No more than the first publication after the page
-- is read in vain.
local limit, positionTtl = tonumber(ARGV[1]), tonumber(ARGV[4])
local since, isReverse, maxBytes = tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[9])
local known = { epoch = ARGV[6], offset = tonumber(ARGV[7]), at = tonumber(ARGV[8]) }
local now = milliseconds()
local state = position(KEYS[1], KEYS[2], ARGV[5], now, positionTtl, known)
-- Half the time is soon enough: most reads then write nothing.
local life = lifetime(state.offset, positionTtl)
if redis.call('PTTL', KEYS[1]) * 2 < life then redis.call('PEXPIRE', KEYS[1], life) end

local function at(entry)
  return tonumber(entry[2][4]) or 0
end

local function entryAt(offset)
  return redis.call('XRANGE', KEYS[2], whole(offset), whole(offset), 'COUNT', 1)[1]
end

if limit > 0 and known.epoch == state.epoch and known.offset > 0 and known.offset < state.offset then
  local entry = entryAt(known.offset)
  if entry and at(entry) ~= known.at then renew(KEYS[1], state, ARGV[5]) end
end

-- The stream as a whole expires `ttl` after the last publication, each entry on its own here.
local function isExpired(entry)
  return at(entry) + state.ttl <= now
end

-- Drops what is before `first`. If bytes are counted, each is read once more to be counted out.
local function drop(first)
  if state.bytes then
    local from = '-'
    repeat
      local entry = redis.call('XRANGE', KEYS[2], from, whole(first - 1), 'COUNT', 1)[1]
      if entry then
        state.bytes = state.bytes - #entry[2][2]
        from = '(' .. entry[1]
      end
    until not entry
    redis.call('HSET', KEYS[1], 'bytes', whole(state.bytes))
  end
  redis.call('XTRIM', KEYS[2], 'MINID', whole(first))
end

-- Times go up with the offsets, so the first live entry after an expired one is found by halving.
local function firstLive(expired)
  local low, high = tonumber(string.match(expired[1], '^%d+')) + 1, state.offset + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = entryAt(middle)
    if entry and isExpired(entry) then low = middle + 1 else high = middle end
  end
  return low
end

local entries, bytes, isDone = {}, 0, limit == 0 or not state.ttl or state.isEmpty
local from, to = 1, state.offset
if since and isReverse then to = math.min(since - 1, to) end
if since and not isReverse then from = since + 1 end
if from > to then isDone = true end
from, to = whole(from), whole(to)
if isReverse then from, to = to, from end

-- As many at a time as fit, however large they are: one first, since one may be larger than all may be together.
while not isDone do
  local few = limit - #entries
  if maxBytes > 0 then
    local fitting = math.floor((maxBytes - bytes) / math.max(1, state.largest or maxBytes))
    few = math.min(few, #entries == 0 and 1 or math.max(1, fitting))
  end
  local found = redis.call(isReverse and 'XREVRANGE' or 'XRANGE', KEYS[2], from, to, 'COUNT', few)
  isDone = #found < few
  if not isReverse and #entries == 0 and found[1] and isExpired(found[1]) then
    local first = firstLive(found[1])
    drop(first)
    from, found, isDone = whole(first), {}, first > state.offset
  end
  for _, entry in ipairs(found) do
    local size = #entry[2][2]
    if (isReverse and isExpired(entry)) or (maxBytes > 0 and #entries > 0 and bytes + size > maxBytes) then
      isDone = true
      break
    end
    bytes = bytes + size
    entries[#entries + 1] = entry
    from = '(' .. entry[1]
  end
  if #entries == limit or (maxBytes > 0 and bytes >= maxBytes) then isDone = true end
end
return { state.epoch, state.offset, state.at, entries, now }
