-- Adds ids, each at most once, the earlier due time wins; then notifies the workers. One round trip for a whole batch.
-- KEYS: the set of channels that have a queue. ARGV: the prefix of every key, the notification channel, the window, then for
-- each channel: its name, the number of high pairs, the number of normal pairs, and the pairs of due time and id, the high
-- ones first. ZADD with LT adds new ids and moves known ones only to an earlier time.
-- The keys of the queues are made here, because only Redis knows all channels; they are in the slot of KEYS[1].
local prefix, at = ARGV[1], 4
while at <= #ARGV do
  local channel, first = ARGV[at], at + 3
  local first_normal = first + 2 * tonumber(ARGV[at + 1])
  local ends = first_normal + 2 * tonumber(ARGV[at + 2])
  local high, normal = prefix .. 'high:' .. channel, prefix .. 'normal:' .. channel
  for pair = first, first_normal - 1, 2 do
    local due, id = ARGV[pair], ARGV[pair + 1]
    local known = redis.call('ZSCORE', normal, id)
    if known then
      redis.call('ZREM', normal, id)
      redis.call('ZADD', high, 'LT', known, id)
    end
    redis.call('ZADD', high, 'LT', due, id)
  end
  for pair = first_normal, ends - 1, 2 do
    local queue = normal
    if redis.call('ZSCORE', high, ARGV[pair + 1]) then queue = high end
    redis.call('ZADD', queue, 'LT', ARGV[pair], ARGV[pair + 1])
  end
  redis.call('SADD', KEYS[1], channel)
  at = ends
end

-- Entries beyond the window are dropped from the longest queue, so that a flood in one channel displaces no other channel.
local lengths, over = {}, -tonumber(ARGV[3])
for index, channel in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local length = redis.call('ZCARD', prefix .. 'high:' .. channel) + redis.call('ZCARD', prefix .. 'normal:' .. channel)
  lengths[index] = { channel = channel, length = length }
  over = over + length
end
while over > 0 do
  table.sort(lengths, function(one, other) return one.length > other.length end)
  local longest, second = lengths[1], lengths[2] and lengths[2].length or 0
  local drop = math.min(over, math.max(longest.length - second, math.ceil(over / #lengths)))
  local dropped = #redis.call('ZPOPMAX', prefix .. 'normal:' .. longest.channel, drop) / 2
  if dropped < drop then redis.call('ZPOPMAX', prefix .. 'high:' .. longest.channel, drop - dropped) end
  longest.length, over = longest.length - drop, over - drop
end
-- pcall: without permission for the notification channel the ids are added nevertheless, and workers notice them later.
redis.pcall('PUBLISH', ARGV[2], '')
return #ARGV
