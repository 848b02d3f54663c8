-- Puts ids in, each at most once, the earlier due time wins; then rings. One round trip for a whole batch.
-- KEYS: the set of channels that have a row. ARGV: what every name begins with, the bell, the window, then for
-- each channel: its name, the number of high pairs, the number of normal pairs, the pairs of due time and id, the
-- high ones first. LT adds what is new and only ever moves to earlier.
-- The rows' names are made here, because only Redis knows all channels; they are in the slot of KEYS[1].
local rows, at = ARGV[1], 4
while at <= #ARGV do
  local channel, first = ARGV[at], at + 3
  local first_normal = first + 2 * tonumber(ARGV[at + 1])
  local ends = first_normal + 2 * tonumber(ARGV[at + 2])
  local high, normal = rows .. 'high:' .. channel, rows .. 'normal:' .. channel
  for pair = first, first_normal - 1, 2 do
    local due, id = ARGV[pair], ARGV[pair + 1]
    local old = redis.call('ZSCORE', normal, id)
    if old then
      redis.call('ZREM', normal, id)
      redis.call('ZADD', high, 'LT', old, id)
    end
    redis.call('ZADD', high, 'LT', due, id)
  end
  for pair = first_normal, ends - 1, 2 do
    local lane = normal
    if redis.call('ZSCORE', high, ARGV[pair + 1]) then lane = high end
    redis.call('ZADD', lane, 'LT', ARGV[pair], ARGV[pair + 1])
  end
  redis.call('SADD', KEYS[1], channel)
  at = ends
end

-- What does not fit is dropped from the longest row: a flood in one channel drives nobody else out.
local lengths, over = {}, -tonumber(ARGV[3])
for place, channel in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local length = redis.call('ZCARD', rows .. 'high:' .. channel) + redis.call('ZCARD', rows .. 'normal:' .. channel)
  lengths[place] = { channel = channel, length = length }
  over = over + length
end
while over > 0 do
  table.sort(lengths, function(one, other) return one.length > other.length end)
  local longest, second = lengths[1], lengths[2] and lengths[2].length or 0
  local drop = math.min(over, math.max(longest.length - second, math.ceil(over / #lengths)))
  local dropped = #redis.call('ZPOPMAX', rows .. 'normal:' .. longest.channel, drop) / 2
  if dropped < drop then redis.call('ZPOPMAX', rows .. 'high:' .. longest.channel, drop - dropped) end
  longest.length, over = longest.length - drop, over - drop
end
-- pcall: a user without the right to this channel still gets the ids in, and waits a little longer for them.
redis.pcall('PUBLISH', ARGV[2], '')
return #ARGV
