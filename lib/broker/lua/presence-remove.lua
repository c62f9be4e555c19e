-- Removes a connection from a channel's presence.
--
-- KEYS     as in presence-add.lua
-- ARGV[1]  connection
--
-- Reply: 1 if the connection was present, else 0
--
-- Guarantees: the connection is deleted from all three keys. After an error it can be added and removed again.
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
local removed = redis.call('ZREM', KEYS[1], ARGV[1])
-- The set may only contain the time of the last addition (members.lua).
if redis.call('ZCOUNT', KEYS[1], '0', '+inf') == 0 then redis.call('DEL', KEYS[1]) end
return removed
