-- Fills a topic for the bench.
--   u   Debezium envelopes of about 320 bytes, keys uniform
--   z   the same, keys by Zipf's law (exponent 1)
--   f   outbox events of accounts with uuids, keys uniform
--   g   the same, keys by Zipf's law
local bank = require 'bank'
local kafka = require 'kafka'

local M = { PARTITIONS = 8, KEYS = tonumber(os.getenv('KEYS') or 100000) }

local function uniform(random)
  return function() return random(1, M.KEYS) end
end

-- Ranks by inverting the cumulative distribution; ranks are scattered over
-- the keys, or the busy ones would be neighbours in the index.
local function zipf(random)
  local cumulative, sum = {}, 0
  for rank = 1, M.KEYS do
    sum = sum + 1 / rank
    cumulative[rank] = sum
  end
  return function()
    local x, low, high = random(0, 2147483645) / 2147483646 * sum, 1, M.KEYS
    while low < high do
      local middle = math.floor((low + high) / 2)
      if cumulative[middle] < x then low = middle + 1 else high = middle end
    end
    return low * 48271 % M.KEYS + 1
  end
end

local envelope = '{"before":null,"after":{"id":%d,"owner":"owner-%06d",' ..
  '"balance_cents":%d,"is_active":%s,"updated_at":%d},"source":{"version":' ..
  '"3.3.1.Final","name":"shop","ts_ms":1795443612905,"snapshot":"false",' ..
  '"table":"accounts","txId":687899,"lsn":%d},"transaction":null,"op":"u",' ..
  '"ts_ms":1795443613042}'

local function change(record, n, id, random)
  record.key = ('{"id":%d}'):format(id)
  record.value = envelope:format(id, id, random(0, 10000000),
    n % 5 == 0 and 'false' or 'true', 1795443612000000 + n, 2997863192 + n)
end

local created, moved = { eventType = 'AccountCreated' }, {
  [0] = { eventType = 'MoneyWithdrawn' }, { eventType = 'MoneyDeposited' },
}

local function event(record, n, id, random)
  record.key = bank.uuid(id * 48271 % 4294967291)
  if n <= M.KEYS then
    record.headers, record.value = created, ('{"owner":"owner-%06d"}'):format(id)
  else
    record.headers = moved[n % 2]
    record.value = ('{"amount":%d.%02d,"note":"a remark of ordinary length"}'):format(
      random(0, 9999), random(0, 99))
  end
end

--- Creates [topic] and sends [n] records of a kind; the bytes of their values.
function M.fill(kind, topic, n)
  local producer = kafka.producer { ['linger.ms'] = 20, ['batch.size'] = 500000 }
  producer:create_topic(topic, M.PARTITIONS)
  local random = bank.random(7)
  local is_fold = kind == 'f' or kind == 'g'
  local next_key = (kind == 'z' or kind == 'g') and zipf(random) or uniform(random)
  local fill = is_fold and event or change
  local record, n_bytes = { topic = topic }, 0
  for i = 1, n do
    local id = is_fold and i <= M.KEYS and i or next_key()
    record.partition = id % M.PARTITIONS
    fill(record, i, id, random)
    n_bytes = n_bytes + #record.value
    producer:send(record)
  end
  producer:flush()
  producer:close()
  return n_bytes
end

return M
