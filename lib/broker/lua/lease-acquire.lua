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
local taken = redis.call('ZCOUNT', KEYS[1], '0', '+inf')
if taken >= tonumber(ARGV[2]) and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
enter(KEYS[1], ARGV[1], now, ttl)
keep(KEYS[1], ttl)
return 1
