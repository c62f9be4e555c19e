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
local removed = redis.call('ZREM', KEYS[1], ARGV[1])
-- What is left may be the time of the last addition alone (members.lua).
if redis.call('ZCOUNT', KEYS[1], '0', '+inf') == 0 then redis.call('DEL', KEYS[1]) end
return removed
