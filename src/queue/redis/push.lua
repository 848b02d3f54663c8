-- Puts ids in, each at most once, the earlier due time wins; then rings. One round trip for a whole batch.
-- KEYS: the high lane, the normal lane. ARGV: channel of the bell, window, number of high pairs,
-- then pairs of due time and id, the high ones first. LT adds what is new and only ever moves to earlier.
local high, normal = KEYS[1], KEYS[2]
local first_normal = 4 + 2 * tonumber(ARGV[3])
for at = 4, first_normal - 1, 2 do
  local due, id = ARGV[at], ARGV[at + 1]
  local old = redis.call('ZSCORE', normal, id)
  if old then
    redis.call('ZREM', normal, id)
    redis.call('ZADD', high, 'LT', old, id)
  end
  redis.call('ZADD', high, 'LT', due, id)
end
for at = first_normal, #ARGV, 2 do
  local lane = normal
  if redis.call('ZSCORE', high, ARGV[at + 1]) then lane = high end
  redis.call('ZADD', lane, 'LT', ARGV[at], ARGV[at + 1])
end
local over = redis.call('ZCARD', high) + redis.call('ZCARD', normal) - tonumber(ARGV[2])
if over > 0 then
  over = over - #redis.call('ZPOPMAX', normal, over) / 2
  if over > 0 then redis.call('ZPOPMAX', high, over) end
end
-- pcall: a user without the right to this channel still gets the ids in, and waits a little longer for them.
redis.pcall('PUBLISH', ARGV[1], '')
return #ARGV
