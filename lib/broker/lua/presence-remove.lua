-- Removes a connection from a channel's presence.
--
-- KEYS     as in presence-add.lua
-- ARGV[1]  connection
--
-- Reply: 1 where it was there, else 0
--
-- Guarantees: it is gone from all three keys or, after an error, may be added and removed again.
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
