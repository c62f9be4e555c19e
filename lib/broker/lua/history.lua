-- Reads a channel's position and a page of its history. Needs position.lua before it.
--
-- KEYS[1]  the channel's hash (position.lua)
-- KEYS[2]  the channel's stream (publish.lua)
-- ARGV[1]  maximum number of publications; 0 for the position alone
-- ARGV[2]  the page begins after this offset (before it, if the newest come first); '' begins at the end of the history
--          from which the page is read
-- ARGV[3]  1 for the newest first, else 0
-- ARGV[4]  position ttl, ms
-- ARGV[5]  fresh epoch (position.lua)
-- ARGV[6]  epoch, ARGV[7] offset, ARGV[8] ms of a publication that the caller has seen (position.lua)
-- ARGV[9]  maximum bytes of data in all, or one publication that is larger; 0 for no limit
--
-- Reply: { epoch, offset, ms of the newest publication, entries as XRANGE gives them, this server's time in ms,
--          how many entries the stream has }
--
-- Guarantees:
--   * The page and the position are from the same moment.
--   * The page has no publication that is older than the history's ttl.
--   * A channel that was never used has an epoch afterwards.
--   * If the publication that the caller has seen is a different one here, the page has a new epoch.
--   * Reading keeps the position alive.
--   * At most one publication is read that is not part of the page: the first after it.
local limit, positionTtl = tonumber(ARGV[1]), tonumber(ARGV[4])
local since, isReverse, maxBytes = tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[9])
local known = { epoch = ARGV[6], offset = tonumber(ARGV[7]), at = tonumber(ARGV[8]) }
local now = milliseconds()
local state = position(KEYS[1], KEYS[2], ARGV[5], now, positionTtl, known)
-- The expiry is renewed only after half of its time, so that most reads write nothing.
local ttl = lifetime(state.offset, positionTtl)
if redis.call('PTTL', KEYS[1]) * 2 < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end

local function at(entry)
  return tonumber(entry[2][4]) or 0
end

local function entryAt(offset)
  return redis.call('XRANGE', KEYS[2], whole(offset), whole(offset), 'COUNT', 1)[1]
end

if limit > 0 and known.epoch == state.epoch and known.offset > 0 and known.offset < state.offset then
  local entry = entryAt(known.offset)
  if entry and at(entry) ~= known.at then renewEpoch(KEYS[1], state, ARGV[5]) end
end

-- Redis expires the whole stream `ttl` after the last publication. Single entries expire here.
local function isExpired(entry)
  return at(entry) + state.ttl <= now
end

-- Drops all entries before the offset `first`. If bytes are counted, each entry is read, and its bytes are subtracted.
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

-- Times increase with the offsets, so a binary search finds the first entry that has not expired.
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

-- Reads in batches that fit into the limit even if each entry has the largest size. The first batch is one entry, which
-- may be larger than the limit.
while not isDone do
  local batch = limit - #entries
  if maxBytes > 0 then
    local fitting = math.floor((maxBytes - bytes) / math.max(1, state.largest or maxBytes))
    batch = math.min(batch, #entries == 0 and 1 or math.max(1, fitting))
  end
  local found = redis.call(isReverse and 'XREVRANGE' or 'XRANGE', KEYS[2], from, to, 'COUNT', batch)
  isDone = #found < batch
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
return { state.epoch, state.offset, state.at, entries, now, redis.call('XLEN', KEYS[2]) }
