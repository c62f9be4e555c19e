-- How many are present in a channel. After members.lua.
--
-- KEYS     as in presence-add.lua
--
-- Reply: { connections, distinct users }
--
-- Guarantees: nobody whose time is over is counted. Costs one look at every connection's user, and no info.
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
