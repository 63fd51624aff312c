-- A small pipeline for specs about everything but its rows: events of a JSON
-- topic are counted and summed by the key.
local kafka = require 'kafka'
local tidemill = require 'tidemill'

local M = {}

local pipeline = [[
return pipeline {
  name = '%s',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = '%s', topics = { '%s' },
    format = 'json', type = 'data.kind', start = '%s' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 100, linger_ms = 20 },
  projections = { 'projections.counts' },
}
]]

M.projection = [[
return projection {
  table = 'counts',
  key = { id = { 'bigint', from = 'key' } },
  columns = { n = 'bigint', amount = 'numeric(6,2)', note = 'text', small = 'smallint' },
  initial = { n = 0, amount = 0 },
  on = {
    add = function(row, event)
      row.n = row.n + 1
      row.amount = row.amount + (event.data.amount or 0)
      row.note = event.data.note
      row.small = event.data.small
    end,
  },
}
]]

--- [options]: partitions, topic, group, name, projection, files, no_topic, start.
function M.new(options)
  options = options or {}
  local producer = options.producer or kafka.producer()
  local s = {
    producer = producer,
    topic = options.topic or tidemill.unique('counts'),
    n_partitions = options.partitions or 1,
    name = options.name or 'counts',
  }
  s.group = options.group or s.topic
  if not options.topic and not options.no_topic then
    producer:create_topic(s.topic, s.n_partitions)
  end
  s.bundle = tidemill.bundle {
    ['pipeline.lua'] = pipeline:format(s.name, s.group, s.topic,
      options.start or 'earliest'),
    ['projections/counts.lua'] = options.projection or M.projection,
  }
  s.url, s.db = tidemill.database(not options.no_schema and s.bundle or nil)
  s.env = { DATABASE_URL = s.url }

  function s.send(key, value, partition)
    producer:send {
      topic = s.topic, partition = partition or 0,
      key = key and tostring(key), value = value,
    }
  end

  --- [n] good events for keys from..., spread over all partitions.
  function s.send_good(n, from)
    for key = from or 1, (from or 1) + n - 1 do
      s.send(key, '{"kind":"add","amount":1}', key % s.n_partitions)
    end
    producer:flush()
  end

  function s.start(args)
    s.run = tidemill.start(s.bundle, { env = s.env, args = args })
    return s.run
  end

  --- What is set aside: 'partition/offset state' of each record, in order.
  function s.letters()
    return s.db:value([[SELECT coalesce(string_agg(
        partition || '/' || "offset" || ' ' || state,
        ', ' ORDER BY partition, "offset"), '') FROM tidemill.dead_letter]])
  end

  function s.n_events()
    return s.db:number('SELECT coalesce(sum(n), 0) FROM counts')
  end
  return s
end

return M
