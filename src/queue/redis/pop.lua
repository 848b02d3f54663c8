-- Takes what is due, the high lane first. One round trip for a whole batch.
-- KEYS: the high lane, the normal lane. ARGV: now in milliseconds, limit.
-- Answers: milliseconds until the earliest of what is left is due (-1: nothing is left), the ids.
local now, left, ids, next_due = tonumber(ARGV[1]), tonumber(ARGV[2]), {}, nil
for _, lane in ipairs(KEYS) do
  local due = math.min(left, redis.call('ZCOUNT', lane, '-inf', ARGV[1]))
  if due > 0 then
    local taken = redis.call('ZPOPMIN', lane, due)
    for at = 1, #taken, 2 do ids[#ids + 1] = taken[at] end
    left = left - due
  end
  local first = tonumber(redis.call('ZRANGE', lane, 0, 0, 'WITHSCORES')[2])
  if first and (not next_due or first < next_due) then next_due = first end
end
return { next_due and math.max(0, next_due - now) or -1, ids }
