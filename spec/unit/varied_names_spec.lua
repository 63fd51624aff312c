-- Names of fields that come out of the data: beyond a few below one object they are
-- looked up in each event, and nothing else about them may be different.
local bundles = require 'spec.unit.bundles'

local FIELDS = [==[{"int":7,"big":9007199254740993,"dec":1.10,"huge":123456789012345678901234567890123456789012.5,"minus":-0,
  "text":"Zo\u00eb","empty":"","t":true,"f":false,"null":null,"list":[1,9007199254740993,null,[2]],"none":[],"twice":1,"twice":{"x":2},
  "n\u0061me":"escaped","a\"b\\":"quoted","":"nameless","o":{"in":{"deep":1.10,"l":[3]},"n":null,"list":[],"twice":1,"twice":"2"},"bare":{},
  "long":"__debezium_unavailable_value","p":"AQ==","at":1700000000123456,"table":"a word of ours"}]==]
local NAMES = { 'int', 'big', 'dec', 'huge', 'minus', 'text', 'empty', 't', 'f', 'null', 'list', 'none', 'twice', 'name', 'a"b\\', '', 'o',
  'bare', 'long', 'p', 'at', 'v', 'table', 'absent', 'n\\u0061me', '__proto', ('x'):rep(300), ('y'):rep(70000) }

local ROW = '{"type":"struct","optional":true,"field":"%s","fields":['
  .. '{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"},"field":"p"},'
  .. '{"type":"int64","name":"io.debezium.time.MicroTimestamp","field":"at"},'
  .. '{"type":"struct","name":"io.debezium.data.VariableScaleDecimal","field":"v"}]}'
local function with(more) return (FIELDS:gsub('}$', function() return ',' .. more .. '}' end)) end
local VALUES = with '"v":{"scale":1,"value":"BNI="}'

local function schema(payload, fields)
  return ('{"schema":{"type":"struct","optional":false,"fields":[%s]},"payload":%s}'):format(fields, payload)
end
local COLUMNS = ROW:match('%[(.*)%]')

local function envelope(op, before, after) return ('{"before":%s,"after":%s,"source":%s,"op":"%s"}'):format(before, after, FIELDS, op) end

-- By what they are called: the source, a record of it, and the objects that are asked.
local EVENTS = {
  json = { "format = 'json'", { value = FIELDS, key = FIELDS }, { 'data', 'key' } },
  outbox = { "format = 'outbox'", { value = FIELDS, headers = { eventType = 'T' } }, { 'data' } },
  ['outbox in a text'] = { "format = 'outbox'", { value = '"' .. FIELDS:gsub('[\\"]', '\\%0'):gsub('\n', '') .. '"',
    headers = { eventType = 'T' } }, { 'data' } },
  ['outbox behind a schema'] = { "format = 'outbox'", { value = schema(VALUES, COLUMNS), key = schema(VALUES, COLUMNS),
    headers = { eventType = 'T' } }, { 'data', 'key' } },
  debezium = { "format = 'debezium'", { value = envelope('u', FIELDS, FIELDS), key = FIELDS }, { 'data', 'before', 'after', 'source', 'key' } },
  ['debezium behind a schema'] = { "format = 'debezium'", { value = schema(envelope('u', VALUES, VALUES), ROW:format('before') .. ','
    .. ROW:format('after')) }, { 'data', 'before', 'after', 'source' } },
  ['a deleted row'] = { "format = 'debezium'", { value = schema(envelope('d', VALUES, 'null'), ROW:format('before') .. ','
    .. ROW:format('after')) }, { 'data', 'before' } },
  flattened = { "format = 'debezium', flattened = 'rewrite'", { value = with '"__op":"u","__deleted":"false"' }, { 'data', 'after' } },
  ['flattened behind a schema'] = { "format = 'debezium', flattened = 'rewrite'", { value = schema(VALUES, COLUMNS) }, { 'data', 'after' } },
}

local HELPERS = [[
local function say(v)
  if type(v) ~= 'table' then return type(v) .. ':' .. tostring(v) end
  local list = {}
  for i = 1, math.max(#v, 4) do list[i] = say(v[i]) end
  return #v .. '[' .. table.concat(list, ',') .. ']'
end
local function is_view(v) return type(v) == 'cdata' and tostring(v):sub(1, 1) == '{' end
local function look(out, object, names, at)
  for _, name in ipairs(names) do
    local v = object[name]
    out[#out + 1] = at .. name .. '=' .. say(v)
    if is_view(v) then
      local n = 0
      for _ in pairs(v:table()) do n = n + 1 end
      out[#out + 1] = 'members ' .. n
      look(out, v, { 'in', 'n', 'list', 'twice', 'deep', 'l', 'x', 'scale', 'value', 'absent', 'table' }, at .. name .. '.')
    end
  end
end
-- Asks for so many names that none below these objects gets a column any more.
local function crowd(event, n)
  for _, root in ipairs { 'data', 'before', 'after', 'source', 'key' } do
    for i = 1, is_view(event[root]) and n or 0 do
      local _ = event[root]['made up ' .. i], event:has(root .. '.o.made up ' .. i), event:has(root .. '.o.in.made up ' .. i)
    end
  end
end
local function read(row, event)
  local out, list = {}, {}
  crowd(event, tonumber(event.headers.crowd))
  for name in event.headers.names:gmatch('([^\1]*)\1') do list[#list + 1] = name end
  for root in event.headers.roots:gmatch('%a+') do
    look(out, event[root], list, root .. '.')
    for _, name in ipairs(list) do
      out[#out + 1] = tostring(event:has(root .. '.' .. name)) .. tostring(event:has(root .. '.' .. name .. '.in.deep'))
    end
  end
  row.s = table.concat(out, '\n')
end
]]

-- What a handler sees of the event: one line a field.
local function seen(case, crowd)
  local is_typed = case[1]:find('outbox')
  local projection = "projection { table = 'a', append = true, columns = { s = 'text' }, on = "
    .. (is_typed and '{ T = read }' or 'read') .. ' }'
  local source = ("kafka { brokers = 'b', group = 'g', topics = { 't' }, %s }"):format(case[1])
  local event = case[2]
  local headers = { names = table.concat(NAMES, '\1') .. '\1', crowd = tostring(crowd), roots = table.concat(case[3], ' '),
    eventType = is_typed and 'T' or nil }
  return bundles.load(HELPERS .. bundles.pipeline(projection, source))
    :run({ events = { { key = event.key or 'k', value = event.value, headers = headers } } }):rows('a')[1].s
end

describe('a name that came out of the data', function()
  for what, case in pairs(EVENTS) do
    it('reads the same as one that has a column: ' .. what, function()
      local few, many = seen(case, 0), seen(case, 70)
      assert.is_truthy(few:find('.int=number:7\n', 1, true), few)
      assert.is_truthy(few:find('.o.in.deep=cdata:1.10\n', 1, true), few)
      assert.are.equal(few, many)
    end)
  end
end)

describe('event types that the data makes up', function()
  local SOURCE = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'outbox' }"
  local events = {}
  for i = 1, 5000 do events[i] = { key = 'k', data = {}, headers = { eventType = 'made up ' .. i } } end
  events[5001] = { key = 'k', data = {}, headers = { eventType = 'Named' } }

  it('are read by their names, however many there are', function()
    local rows = bundles.load(bundles.pipeline(
      "projection { table = 'a', append = true, columns = { s = 'text' }, on = function(row, event) row.s = event.type end }",
      "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json', type = 'data.kind' }"))
    local typed = {}
    for i, event in ipairs(events) do typed[i] = { key = 'k', data = { kind = event.headers.eventType } } end
    rows = rows:run({ events = typed }):rows('a')
    for i, event in ipairs(events) do assert.are.equal(event.headers.eventType, rows[i].s) end
  end)
  it('take no number from one that has a handler', function()
    local rows = bundles.load(bundles.pipeline("projection { table = 'a', append = true, columns = { s = 'text' }, "
      .. 'on = { Named = function(row, event) row.s = event.type end } }', SOURCE)):run({ events = events }):rows('a')
    assert.are.same({ { s = 'Named' } }, rows)
  end)
end)

describe('a batch function', function()
  it('keeps objects of several events for the length of its call', function()
    local HANDLER = [[projection { tables = { a = { append = true, columns = { s = 'text' } } }, batch = function(batch, tables)
      local kept = {}
      for event in batch:events() do
        for i = 1, 70 do local _ = event.data.o['made up ' .. i] end
        kept[#kept + 1] = event.data.o[event.data.name]
      end
      for i = #kept, 1, -1 do tables.a:insert { s = tostring(kept[i]) .. kept[i].x .. tostring(kept[i].y) .. #kept[i].l } end
    end }]]
    local events = {}
    for i = 1, 4 do
      events[i] = { key = 'k', value = ('{"name":"n%d","o":{"n%d":{"x":%d,"y":null,"l":[1,%d]},"n":{}}}'):format(i % 3, i % 3, i, i) }
    end
    local rows = bundles.load(bundles.pipeline(HANDLER, "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"))
      :run({ events = events }):rows('a')
    for i = 1, 4 do assert.are.equal(('{"x":%d,"y":null,"l":[1,%d]}%dnil2'):format(5 - i, 5 - i, 5 - i), rows[i].s) end
  end)
end)

describe('the unit of a time', function()
  local NAMED = '{"type":"int64","name":"io.debezium.time.%sTimestamp","field":"%s"}'
  local ROW_OF_TIMES = '{"type":"struct","optional":true,"field":"after","fields":['
    .. NAMED:format('', 'ms') .. ',' .. NAMED:format('Micro', 'us') .. ',' .. NAMED:format('Nano', 'ns') .. ']}'
  local TIMES = '{"ms":1700000000123,"us":1700000000123456,"ns":1700000000123456000}'
  local SOURCE = '{"ts_ms":1700000000123,"ts_us":1700000000123456,"ts_ns":1700000000123456000}'
  local BARE = ('{"before":null,"after":%s,"source":%s,"op":"c"}'):format(TIMES, SOURCE)
  -- Of three fields of two events, as a handler or a batch function passes them on.
  local READ = [[
    local function read(event)
      local list, root = {}, event[event.headers.root]
      for i = 1, tonumber(event.headers.crowd) do local _ = root['made up ' .. i] end
      for name in event.headers.names:gmatch('[^ ]+') do list[#list + 1] = root[name] end
      return list
    end
  ]]
  local APPENDED = "append = true, columns = { a = 'timestamptz', b = 'timestamptz', c = 'timestamptz' }"
  local KINDS = {
    ['a handler'] = ("projection { table = 'a', %s, on = function(row, event) row.a, row.b, row.c = unpack(read(event)) end }"):format(APPENDED),
    ['a batch function'] = ([[projection { tables = { a = { %s } }, batch = function(batch, tables)
      local all = {}
      for event in batch:events() do all[#all + 1] = read(event) end
      for _, t in ipairs(all) do tables.a:insert { a = t[1], b = t[2], c = t[3] } end end }]]):format(APPENDED),
  }
  local function rows(kind, value, root, names, crowd)
    local event = { key = 'k', value = value, headers = { names = names, root = root, crowd = tostring(crowd) } }
    return bundles.load(READ .. bundles.pipeline(KINDS[kind],
      "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium', times = 'seconds' }")):run({ events = { event, event } }):rows('a')
  end
  local RIGHT = { a = '2023-11-14T22:13:20.123Z', b = '2023-11-14T22:13:20.123456Z', c = '2023-11-14T22:13:20.123456Z' }
  local function check(kind, value, root, names)
    for _, crowd in ipairs { 0, 70 } do
      assert.are.same({ RIGHT, RIGHT }, rows(kind, value, root, names, crowd))
    end
  end
  for kind in pairs(KINDS) do
    it('is the one that its schema says, whether its field has a column or not: ' .. kind, function()
      check(kind, schema(BARE, ROW_OF_TIMES), 'data', 'ms us ns')
    end)
    it("of the source is its name's, with a schema or without: " .. kind, function()
      check(kind, BARE, 'source', 'ts_ms ts_us ts_ns')
      check(kind, schema(BARE, ROW_OF_TIMES), 'source', 'ts_ms ts_us ts_ns')
    end)
  end
end)
