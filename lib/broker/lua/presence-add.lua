-- Adds a connection to a channel's presence, or refreshes it. Needs members.lua before it.
--
-- KEYS[1]  sorted set: connections, scored by the time at which they expire
-- KEYS[2]  hash: connection to user
-- KEYS[3]  hash: connection to info
-- ARGV[1]  connection, ARGV[2] user, ARGV[3] info
-- ARGV[4]  ttl, ms
--
-- Reply: 1
--
-- Guarantees: the connection expires `ttl` after its last refresh, even if its node has crashed. If this server's clock
-- was set back, it expires at the latest `ttl` after the first access to the channel's presence since then.
local ttl = tonumber(ARGV[4])
local now = purge(KEYS[1], KEYS[2], KEYS[3])
put(KEYS[1], ARGV[1], now, ttl)
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
for _, key in ipairs(KEYS) do extend(key, ttl) end
return 1
