-- What `tidemill dev` feeds this pipeline with: rows of a table being
-- inserted, updated and deleted, as Debezium tells it. The nth event depends
-- on n and random alone.
local ACCOUNTS = 20000
local TOPIC = 'shop.public.accounts'

local function image(id, n, random)
  local cents = random(0, 1000000)
  return ('{"id":%d,"owner":"owner-%03d","balance":"%d.%02d","is_active":%s,' ..
    '"note":null,"updated_at":"2026-01-01T%02d:%02d:%02d.%06dZ"}'):format(
    id, id % 500, math.floor(cents / 100), cents % 100,
    tostring(n % 7 ~= 0), math.floor(n / 3600) % 24, math.floor(n / 60) % 60, n % 60,
    n % 1000000)
end

local function change(n, id, op, before, after)
  return {
    topic = TOPIC,
    key = ('{"id":%d}'):format(id),
    value = ('{"before":%s,"after":%s,"source":{"version":"3.3.1.Final",' ..
      '"connector":"postgresql","name":"shop","ts_ms":%d,"snapshot":"false",' ..
      '"db":"shop","schema":"public","table":"accounts","txId":%d,"lsn":%d},' ..
      '"transaction":null,"op":"%s","ts_ms":%d}'):format(
      before, after, 1767225600000 + n, 700 + n, 3000000 + 8 * n, op, 1767225600000 + n),
  }
end

return {
  topics = { [TOPIC] = { partitions = 4 } },
  next = function(n, random)
    if n <= ACCOUNTS then return change(n, n, 'c', 'null', image(n, n, random)) end
    local id = random(1, ACCOUNTS)
    if random(1, 100) == 1 then
      return change(n, id, 'd', ('{"id":%d}'):format(id), 'null')
    end
    return change(n, id, 'u', 'null', image(id, n, random))
  end,
}
