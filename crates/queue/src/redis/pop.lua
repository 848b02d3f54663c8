-- Takes what is due, high priority first, from the channels in turn. One round trip for a whole batch.
-- KEYS: the set of channels that have a row. ARGV: what every name begins with, now in milliseconds, limit,
-- whose turn it is, then pairs: a channel and how many of it may be taken; the others may fill the limit.
-- Answers: milliseconds until the earliest of what may be taken is due (-1: nothing is left), the ids.
local rows, now, left, turn = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local rooms, channels, ids, next_due = {}, {}, {}, nil
for at = 5, #ARGV, 2 do rooms[ARGV[at]] = tonumber(ARGV[at + 1]) end
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local room = rooms[name] or left
  if room > 0 then channels[#channels + 1] = { name = name, room = room } end
end
table.sort(channels, function(one, other) return one.name < other.name end)

local function take(priority)
  local hungry = {}
  for place = 1, #channels do
    local channel = channels[(place + turn) % #channels + 1]
    channel.lane, channel.take = rows .. priority .. channel.name, 0
    channel.due = math.min(channel.room, redis.call('ZCOUNT', channel.lane, '-inf', ARGV[2]))
    if channel.due > 0 then hungry[#hungry + 1] = channel end
  end
  while left > 0 and #hungry > 0 do
    local each, still = math.max(1, math.floor(left / #hungry)), {}
    for _, channel in ipairs(hungry) do
      local more = math.min(each, channel.due - channel.take, left)
      channel.take, left = channel.take + more, left - more
      if channel.take < channel.due then still[#still + 1] = channel end
    end
    hungry = still
  end
  for _, channel in ipairs(channels) do
    if channel.take > 0 then
      local taken = redis.call('ZPOPMIN', channel.lane, channel.take)
      for at = 1, #taken, 2 do ids[#ids + 1] = taken[at] end
      channel.room = channel.room - channel.take
    end
    local first = tonumber(redis.call('ZRANGE', channel.lane, 0, 0, 'WITHSCORES')[2])
    if first and (not next_due or first < next_due) then next_due = first end
  end
end

take('high:')
take('normal:')
for _, channel in ipairs(channels) do
  if redis.call('EXISTS', rows .. 'high:' .. channel.name, rows .. 'normal:' .. channel.name) == 0 then
    redis.call('SREM', KEYS[1], channel.name)
  end
end
return { next_due and math.max(0, next_due - now) or -1, ids }
