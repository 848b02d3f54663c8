-- Returns the number of ids in all queues.
-- KEYS: the set of channels that have a queue. ARGV: the prefix of every key.
local depth = 0
for _, channel in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  depth = depth + redis.call('ZCARD', ARGV[1] .. 'high:' .. channel) + redis.call('ZCARD', ARGV[1] .. 'normal:' .. channel)
end
return depth
