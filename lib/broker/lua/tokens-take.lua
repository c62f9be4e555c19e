-- Takes tokens from a bucket that fills with time. After members.lua, for the clock.
--
-- KEYS[1]  hash: tokens (with a fraction), at (ms)
-- ARGV[1]  how many are wanted
-- ARGV[2]  tokens a second
-- ARGV[3]  how many the bucket holds
--
-- Reply: { granted, ms until the next token, 0 where all were granted }
--
-- Guarantees: over any time t no more than burst + rate * t are granted. A full bucket's key is gone.
local wanted, rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = milliseconds()
local found = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
-- A clock that went back adds nothing.
if found[1] then tokens = math.min(burst, tonumber(found[1]) + math.max(0, now - tonumber(found[2])) * rate / 1000) end
local granted = math.min(wanted, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) / rate * 1000) + 1)
local wait = 0
if granted < wanted then wait = math.ceil((1 - tokens) / rate * 1000) end
return { granted, wait }
