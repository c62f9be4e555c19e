-- Lists the connections that are present in a channel. Needs members.lua before it.
--
-- KEYS     as in presence-add.lua
--
-- Reply: { connection, user, connection, user…; and connection, info, connection, info… }
--
-- Guarantees: no expired connection is listed.
purge(KEYS[1], KEYS[2], KEYS[3])
return { redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3]) }
