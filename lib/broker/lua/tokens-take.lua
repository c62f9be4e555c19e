-- Takes tokens from a token bucket. Needs members.lua before it, for the clock.
--
-- KEYS[1]  hash: tokens (with a fraction), at (ms)
-- ARGV[1]  number of wanted tokens
-- ARGV[2]  tokens a second
-- ARGV[3]  maximum number of tokens in the bucket
--
-- Reply: { number of granted tokens, ms until the next token (0 if all were granted) }
--
-- Guarantees: in any time t, at most burst + rate * t tokens are granted. The key of a full bucket expires.
local wanted, rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = milliseconds()
local found = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
-- If the clock was set back, no tokens are added.
if found[1] then tokens = math.min(burst, tonumber(found[1]) + math.max(0, now - tonumber(found[2])) * rate / 1000) end
local granted = math.min(wanted, math.floor(tokens))
tokens = tokens - granted
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) / rate * 1000) + 1)
local wait = 0
if granted < wanted then wait = math.ceil((1 - tokens) / rate * 1000) end
return { granted, wait }
