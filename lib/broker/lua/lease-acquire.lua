-- Takes one of a number of places, or renews the holder's place. Needs members.lua before it.
--
-- KEYS[1]  sorted set: holders, scored by the time at which their lease expires
-- ARGV[1]  holder
-- ARGV[2]  number of places
-- ARGV[3]  ttl, ms
--
-- Reply: 1 if a place was taken or renewed, 0 if all places are taken
--
-- Guarantees: a holder gets a place only if one is free. A holder that doesn't renew loses its place, within twice the
-- ttl even if this server's clock was set back.
local ttl = tonumber(ARGV[3])
local now = purge(KEYS[1])
local taken = redis.call('ZCOUNT', KEYS[1], '0', '+inf')
if taken >= tonumber(ARGV[2]) and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
put(KEYS[1], ARGV[1], now, ttl)
extend(KEYS[1], ttl)
return 1
