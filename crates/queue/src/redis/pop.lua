-- Removes and returns due ids, high priority first, the channels in turn. One round trip for a whole batch.
-- KEYS: the set of channels that have a queue. ARGV: the prefix of every key, now in milliseconds, the limit, a counter that
-- decides which channel is first, then pairs of a channel and its limit; the other channels have the total limit.
-- Returns the time until the next id within the limits is due, in milliseconds (-1 if there is none), and the ids.
local prefix, now, left, turn = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local limits, channels, ids, next_due = {}, {}, {}, nil
for at = 5, #ARGV, 2 do limits[ARGV[at]] = tonumber(ARGV[at + 1]) end
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local limit = limits[name] or left
  if limit > 0 then channels[#channels + 1] = { name = name, limit = limit } end
end
table.sort(channels, function(one, other) return one.name < other.name end)

local function take(priority)
  local waiting = {}
  for index = 1, #channels do
    local channel = channels[(index + turn) % #channels + 1]
    channel.queue, channel.take = prefix .. priority .. channel.name, 0
    channel.due = math.min(channel.limit, redis.call('ZCOUNT', channel.queue, '-inf', ARGV[2]))
    if channel.due > 0 then waiting[#waiting + 1] = channel end
  end
  while left > 0 and #waiting > 0 do
    local share, still_waiting = math.max(1, math.floor(left / #waiting)), {}
    for _, channel in ipairs(waiting) do
      local more = math.min(share, channel.due - channel.take, left)
      channel.take, left = channel.take + more, left - more
      if channel.take < channel.due then still_waiting[#still_waiting + 1] = channel end
    end
    waiting = still_waiting
  end
  for _, channel in ipairs(channels) do
    if channel.take > 0 then
      local taken = redis.call('ZPOPMIN', channel.queue, channel.take)
      for at = 1, #taken, 2 do ids[#ids + 1] = taken[at] end
      channel.limit = channel.limit - channel.take
    end
    local first = tonumber(redis.call('ZRANGE', channel.queue, 0, 0, 'WITHSCORES')[2])
    if first and (not next_due or first < next_due) then next_due = first end
  end
end

take('high:')
take('normal:')
for _, channel in ipairs(channels) do
  if redis.call('EXISTS', prefix .. 'high:' .. channel.name, prefix .. 'normal:' .. channel.name) == 0 then
    redis.call('SREM', KEYS[1], channel.name)
  end
end
return { next_due and math.max(0, next_due - now) or -1, ids }
