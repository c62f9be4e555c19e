-- Who is present in a channel. After members.lua.
--
-- KEYS     as in presence-add.lua
--
-- Reply: { connections and users by turns, connections and infos by turns }
--
-- Guarantees: nobody whose time is over.
purge(KEYS[1], KEYS[2], KEYS[3])
return { redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3]) }
