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
-- Guarantees: the connection is gone `ttl` after its last refresh, whatever happened to its node.
local ttl = tonumber(ARGV[4])
local now = purge(KEYS[1], KEYS[2], KEYS[3])
redis.call('ZADD', KEYS[1], now + ttl, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
for _, key in ipairs(KEYS) do keep(key, ttl) end
return 1
