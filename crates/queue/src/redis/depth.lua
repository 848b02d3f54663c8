-- How many ids stand in all rows. KEYS: the set of channels that have a row. ARGV: what every name begins with.
local depth = 0
for _, channel in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  depth = depth + redis.call('ZCARD', ARGV[1] .. 'high:' .. channel) + redis.call('ZCARD', ARGV[1] .. 'normal:' .. channel)
end
return depth
