-- Deletes a channel's history, and notifies the nodes. Needs position.lua before it.
--
-- KEYS[1]  the channel's hash (position.lua)
-- KEYS[2]  the channel's stream (publish.lua)
-- ARGV[1]  pub/sub channel
-- ARGV[2]  PUBLISH, or SPUBLISH in a cluster
-- ARGV[3]  position ttl, ms
-- ARGV[4]  fresh epoch (position.lua)
-- ARGV[5]  the message that notifies the nodes
--
-- Reply: 1
--
-- Guarantees: afterwards the channel is empty, at offset 0 of a new epoch. Idempotency keys stay remembered.
reset(KEYS[1], KEYS[2], ARGV[4], tonumber(ARGV[3]))
redis.call(ARGV[2], ARGV[1], ARGV[5])
return 1
