-- Adds a connection to a channel's presence, or refreshes it. After members.lua.
--
-- KEYS[1]  sorted set: connection by the time it leaves
-- KEYS[2]  hash: connection to user
-- KEYS[3]  hash: connection to info
-- ARGV[1]  connection, ARGV[2] user, ARGV[3] info
-- ARGV[4]  ttl, ms
--
-- Reply: 1
--
-- Guarantees: the connection is gone `ttl` after its last refresh, whatever happened to its node. If this server's clock
-- was set back, it is gone `ttl` after the first look at the channel since then, at the latest.
local ttl = tonumber(ARGV[4])
local now = purge(KEYS[1], KEYS[2], KEYS[3])
enter(KEYS[1], ARGV[1], now, ttl)
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
for _, key in ipairs(KEYS) do keep(key, ttl) end
return 1
