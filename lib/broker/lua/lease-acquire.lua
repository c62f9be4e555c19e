-- Takes one of a number of places, or renews a place taken before. After members.lua.
--
-- KEYS[1]  sorted set: holder by the time its lease ends
-- ARGV[1]  holder
-- ARGV[2]  how many places there are
-- ARGV[3]  ttl, ms
--
-- Reply: 1 taken or renewed, 0 all are taken
--
-- Guarantees: never more holders than places at the time of taking; a holder that doesn't renew loses its place, within
-- twice the ttl also if this server's clock was set back.
local ttl = tonumber(ARGV[3])
local now = purge(KEYS[1])
local ends = string.format('%.0f', now + ttl)
-- No lease ends later than one that begins now: these were taken before the clock was set back.
local late = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ends, '+inf')
for _, holder in ipairs(late) do redis.call('ZADD', KEYS[1], ends, holder) end
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ends, ARGV[1])
keep(KEYS[1], ttl)
return 1
