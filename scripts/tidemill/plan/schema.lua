-- The keys of each constructor. A field: types (Lua types, 'false' or words of
-- dsl.lua), words (a closed set), min and max (whole numbers unless it is_fraction),
-- fields (a nested table), may_be_empty (a text that must be there),
-- default, required (what to write when it is missing), later (not available yet).
local function text(required)
  return { types = { 'string' }, required = required }
end

local function later(what, allowed)
  return { later = true, what = what, allowed = allowed }
end

local function number(min, max, default)
  return { types = { 'number' }, min = min, max = max, default = default }
end

-- A part of a whole; the only number that need not be whole.
local function share(min, default)
  return { types = { 'number' }, min = min, max = 1, is_fraction = true,
    default = default }
end

local boolean = { types = { 'boolean' } }
local function list(hint)
  return { types = { 'table' }, hint = hint }
end

-- Of kafka { … } and of each entry of its topics.
local topic = {
  format = { types = { 'string' }, words = { 'outbox', 'debezium', 'json' },
    later_words = { avro = true, protobuf = true, ['json-schema'] = true } },
  type = text(),
  decimals = { types = { 'string' }, words = { 'string', 'precise', 'double' } },
  times = { types = { 'string' }, words = {
    'seconds', 'millis', 'micros', 'nanos', 'adaptive', 'adaptive_time_microseconds',
    'connect', 'isostring', 'microseconds', 'nanoseconds',
  } },
  binary = { types = { 'string' },
    words = { 'bytes', 'base64', 'base64-url-safe', 'hex' } },
  unavailable = text(),
  truncate = { types = { 'string' }, words = { 'halt', 'apply' }, default = 'halt' },
  flattened = { types = { 'string' }, words = { 'rewrite', 'tombstone' } },
  outbox = { types = { 'table' }, hint = "write outbox = { table = { … } }", fields = {
    table = { types = { 'table' }, required = "write table = { key = 'column' }",
      fields = { id = text(), key = text(), type = text(), payload = text(),
        time = text() } },
  } },
}

local M = {
  topic = topic,
  pipeline = {
    name = text("write name = 'bank': it names the positions in the database"),
    source = { types = { 'kafka' }, required = 'write source = kafka { … }' },
    database = { types = { 'postgres' }, required = 'write database = postgres { … }' },
    batch = { types = { 'table', 'false' }, hint = 'write batch = { size = … }, or '
      .. 'batch = false: each event in a transaction of its own', fields = {
      size = number(1, 1000000, 10000), bytes = number(1024, 1073741824, 8388608),
      linger_ms = number(0, 60000, 100), concurrency = number(1, 8, 4),
    } },
    projections = { types = { 'table' },
      required = "write projections = { 'projections.name' }" },
    tuning = later(), commands = later(),
    cache = { types = { 'boolean', 'table' }, fields = {
      bytes = number(65536, 1073741824, 33554432), ttl_s = number(1, 3600, 600),
    } },
    failure = { types = { 'rule', 'failure', 'string' },
      hint = "write failure = rule 'sqlstate', the name of a module or failure { … }" },
    dead_letters = { types = { 'table' }, fields = {
      max_share = share(0, 0.05), max_held = number(0, 1000000000, 10000),
      hold = { types = { 'boolean' }, default = true },
      topic = text(),
    } },
    durability = later("durability = 'lazy'", 'strict'),
  },
  kafka = {
    brokers = text("write brokers = 'host:9092'"),
    group = text("write group = 'name': the consumer group"),
    topics = { types = { 'table' }, required = "write topics = { 'name' }" },
    start = { types = { 'string', 'number', 'table' } },
    options = list("write options = { ['name'] = 'value' }"),
    registry = later('a schema registry'),
  },
  postgres = {
    -- Empty: as PGHOST and the like say.
    write = { types = { 'string' }, required = "write write = env('DATABASE_URL')",
      may_be_empty = true },
    read = text(),
    pool = { types = { 'table' }, fields = { max = number(1, 64, 8) } },
    -- The floors keep a worker from hammering a server in need.
    retry = { types = { 'table' }, fields = {
      floor_ms = number(10, 10000, 100), cap_ms = number(10, 60000, 4000),
    } },
    breaker = { types = { 'table' }, fields = {
      window = number(1, 200, 20), failures = number(1, 200, 5),
      ratio = share(0.01, 0.5), open_ms = number(50, 60000, 500),
      open_max_ms = number(50, 600000, 4000),
    } },
    timeouts = { types = { 'table' }, fields = {
      connect_ms = number(100, 60000, 5000), statement_ms = number(1000, 3600000, 60000),
      lock_ms = number(100, 600000, 20000),
      idle_in_transaction_ms = number(1000, 3600000, 60000),
      tcp_user_ms = number(1000, 600000, 30000),
    } },
  },
  failure = {
    decide = { types = { 'function' },
      required = 'write decide = function(failure) … end' },
  },
  projection = {
    table = text("write table = 'name'"),
    key = { types = { 'table' }, hint = "write key = { id = 'bigint' }" },
    columns = { types = { 'table' }, required = "write columns = { name = 'type' }" },
    initial = list('write initial = { column = 0 }'),
    on = { types = { 'table', 'function' } },
    map = { types = { 'function', 'boolean' } },
    mirror = boolean,
    append = boolean,
    merge = list("write merge = { column = 'sum' }"),
    before_write = { types = { 'function' } },
    ignore = list("write ignore = { 'TypeOfEvent' }"),
    strict = boolean,
    newer = text(),
    once = { types = { 'table', 'string' },
      hint = "write once = { version = 'data.version' }; an append: once = 'event_id'" },
    topics = list("write topics = { 'name' }"),
    examples = list('write examples = { { events = { … }, rows = { … } } }'),
    from = later('from of a projection (building it from history)'),
    batch = { types = { 'function' },
      hint = 'write batch = function(batch, tables) … end' },
    tables = list('write tables = { name = { key = { … }, columns = { … } } }'),
    unlogged = boolean,
    cache = boolean, group = later('group'), durability = later('durability'),
  },
  -- An entry of `tables`.
  table = {
    unlogged = boolean,
    table = text(),
    key = { types = { 'table' }, hint = "write key = { id = 'bigint' }" },
    columns = { types = { 'table' }, required = "write columns = { name = 'type' }" },
    initial = list('write initial = { column = 0 }'),
    append = boolean,
    shared = boolean,
  },
}

for name, field in pairs(topic) do M.kafka[name] = field end

return M
