-- Counts the connections and users that are present in a channel. Needs members.lua before it.
--
-- KEYS     as in presence-add.lua
--
-- Reply: { number of connections, number of distinct users }
--
-- Guarantees: no expired connection is counted. The script reads the user of every connection, but no info.
purge(KEYS[1], KEYS[2], KEYS[3])
local connections = redis.call('HVALS', KEYS[2])
local seen, users = {}, 0
for _, user in ipairs(connections) do
  if not seen[user] then
    seen[user] = true
    users = users + 1
  end
end
return { #connections, users }
