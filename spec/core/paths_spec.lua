-- Paths into events: what the core and the kit make of them is what Lua makes of the
-- same text.
local bundles = require 'spec.unit.bundles'
local decoding = require 'decoding'
local path_of = require 'tidemill.core.path'

local NULL = {}
local NAMES = { 'a', 'b', 'a.b', 'a.b.c', '', ' ', 'first name', "it's", 'say "x"',
  'a[1]', '[1]', ']', '[', '1', 'é', '日本.語', '\\', 'a\\', '\n', '\t',
  'data', 'table', 'end', '-1', '$', '.', '..', '"', 'x]y' }

local function chance(n) return math.random(n) == 1 end
local function any(list) return list[math.random(#list)] end

-- ---- documents ----

local function document(depth)
  local kind = math.random(depth > 3 and 3 or 6)
  if kind == 1 then return math.random(0, 999) end
  if kind == 2 then return any { true, false, NULL } end
  if kind == 3 then return any { 'x', 'é', 'a"b', '\\' } end
  local t = { is_array = kind == 6 }
  for i = 1, math.random(0, 4) do t[t.is_array and i or 'f' .. any(NAMES)] = document(depth + 1) end
  return t
end

-- Names as other writers may escape them.
local function quoted(text)
  return '"' .. text:gsub('[%c"\\a.]', function(c)
    local must = c:find('[%c"\\]')
    return (must or chance(3)) and ('\\u%04x'):format(c:byte()) or c
  end) .. '"'
end

local BLANKS = { '', '', '', ' ', '\n ' }

local function json(v)
  if v == NULL then return 'null' end
  if type(v) == 'string' then return quoted(v) end
  if type(v) ~= 'table' then return tostring(v) end
  local parts = {}
  if v.is_array then
    for i, item in ipairs(v) do parts[i] = any(BLANKS) .. json(item) .. any(BLANKS) end
    return '[' .. any(BLANKS) .. table.concat(parts, ',') .. ']'
  end
  for name, field in pairs(v) do
    if name ~= 'is_array' then
      if chance(6) then parts[#parts + 1] = quoted(name:sub(2)) .. ':' .. json(document(2)) end -- a name twice: the last counts
      parts[#parts + 1] = quoted(name:sub(2)) .. any(BLANKS) .. ':' .. json(field)
    end
  end
  return '{' .. table.concat(parts, ',' .. any(BLANKS)) .. '}'
end

-- As plain Lua has it.
local function plain(v)
  if type(v) ~= 'table' or v == NULL then return v end
  local out = {}
  for name, field in pairs(v) do
    if name ~= 'is_array' then out[type(name) == 'string' and name:sub(2) or name] = plain(field) end
  end
  return out
end

-- ---- paths ----

local KEYWORDS = { ['end'] = true }
local function step(name)
  if type(name) == 'number' then return ('[%s%d%s]'):format(any { '', ' ' }, name, any { '', ' ' }) end
  if name:find('^%a+$') and not KEYWORDS[name] and chance(2) then return '.' .. name end
  local quote = any { '"', "'" }
  return '[' .. quote .. name:gsub('\\', '\\\\'):gsub(quote, '\\' .. quote):gsub('\n', '\\n'):gsub('\t', '\\t') .. quote .. ']'
end

-- Mostly one that leads somewhere.
local function steps_into(v)
  local steps = {}
  for _ = 1, math.random(4) do
    local names = {}
    for name in pairs(type(v) == 'table' and v or {}) do
      if name ~= 'is_array' then names[#names + 1] = name end
    end
    local name = #names > 0 and not chance(5) and any(names) or any { 'f' .. any(NAMES), math.random(5) }
    steps[#steps + 1] = name
    v = type(v) == 'table' and v[name] or nil
  end
  return steps
end

local function path_to(steps)
  local text = 'data'
  for _, name in ipairs(steps) do text = text .. step(type(name) == 'string' and name:sub(2) or name) end
  return text
end

-- What Lua itself gives; NULL is told from nil.
local function read(path, data)
  local ok, v = pcall(setfenv(assert(loadstring('return ' .. path)), { data = data }))
  if ok then return v end -- else it asks a field of what has none
end

local function shown(v)
  if v == nil then return 'missing' end
  if v == NULL then return 'null' end
  if type(v) == 'number' then return 'int:' .. v end
  return v
end

local function fields(v)
  return type(v) == 'table' and v ~= NULL
end

math.randomseed(tonumber(os.getenv 'SEED') or 13)

describe('a path', function()
  it('leads where Lua is led by the same text', function()
    for _ = 1, 300 do
      local decoder, texts, wanted, records = decoding.new { format = 'json' }, {}, {}, {}
      for i = 1, 10 do
        local v = document(1)
        texts[i] = { value = v, json = json(v) }
        for _ = 1, 3 do wanted[path_to(steps_into(v))] = true end
        records[i] = { value = texts[i].json }
      end
      for path in pairs(wanted) do decoder:want(path) end
      decoder:run(records)
      for i, text in ipairs(texts) do
        assert.are.equal('ok', decoder:state(i), text.json)
        for path in pairs(wanted) do
          local expected, got = read(path, plain(text.value)), decoder:value(i, path)
          if fields(expected) then
            assert.is_truthy(tostring(got):find('^object:') or tostring(got):find('^array:'), path)
          elseif type(text.value) ~= 'string' or text.value == NULL then
            assert.are.equal(shown(expected), got, path .. '\n' .. text.json)
          end
        end
      end
    end
  end)

  it('reads the same when its column comes later', function()
    for _ = 1, 200 do
      local v = document(1)
      local path = path_to(steps_into(v))
      local first = decoding.new { format = 'json' }:want('data', path):run { { value = json(v) } }
      local late = decoding.new { format = 'json' }:want('data'):run { { value = json(v) } }
      assert.is_true(late:fault(path))
      local a, b = first:value(1, path), late:value(1, path)
      assert.are.equal(type(a), type(b))
      if type(a) ~= 'string' or not a:find('^%a+:') then assert.are.equal(a, b) end
    end
  end)

  it('is read as it was before: names may have anything but points and brackets', function()
    for path, steps in pairs {
      ['data.first name'] = { 'data', 'first name' }, ["data.it's.x"] = { 'data', "it's", 'x' }, ['data.é.1'] = { 'data', 'é', '1' },
      ['data.a]'] = { 'data', 'a]' }, ['data."q"'] = { 'data', '"q"' }, data = { 'data' }, ['source.ts_ms'] = { 'source', 'ts_ms' },
      ["key['a.b'][2].c"] = { 'key', 'a.b', 2, 'c' }, ['data[ "x" ][ 1 ]'] = { 'data', 'x', 1 }, ["data['']"] = { 'data', '' },
    } do
      assert.are.same(steps, path_of.read(path))
    end
  end)

  it('is refused with what to write instead', function()
    for path, reason in pairs {
      ['data.items[0]'] = 'count from 1', ['data.items[-1]'] = 'none from its end', ['data.items[x]'] = "a name in quotes: ['name']",
      ['data.items[*].sku'] = 'write a function', ['data.items[].sku'] = 'write a function', ['data.items[1'] = '] is missing',
      ["data['a"] = 'the quote is not closed', ["data['a'"] = '] is missing', ["data['a']b"] = 'after ]', ['data[1]2'] = 'after ]',
      ["data['\\x41']"] = 'after a backslash', ['data[99999999999999999999]'] = 'no array has so many', ['data[1.5]'] = '] is missing',
      ['data['] = "a name in quotes: ['name']",
    } do
      local steps, why = path_of.read(path)
      assert.is_nil(steps, path)
      assert.is_truthy(why and why:find(reason, 1, true), path .. ': ' .. tostring(why))
    end
    for _, path in ipairs { '', '.', 'data.', 'data..x', 'data.x.', '[1]', "data['a'].", "data['a'].[1]" } do
      assert.are.same({ n = 2 }, { n = select('#', path_of.read(path)), (path_of.read(path)) }, path)
    end
  end)
end)

describe('event:has', function()
  it('tells null from missing inside of arrays too, as a path says it', function()
    local source = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"
    local bundle = bundles.load(bundles.pipeline([[projection { table = 'a', append = true, columns = { s = 'text' }, on = function(row, event)
      local out = {}
      for path in event.headers.paths:gmatch('[^\1]+') do out[#out + 1] = tostring(event:has(path)) end
      row.s = table.concat(out, ' ')
    end }]], source))
    for _ = 1, 300 do
      local v, paths, expected = document(1), {}, {}
      for i = 1, 8 do
        local path = path_to(steps_into(v))
        paths[i], expected[i] = path, tostring(read(path, plain(v)) ~= nil)
      end
      if type(v) ~= 'string' then
        bundle:reset()
        local rows = bundle:run({ events = { { key = 'k', value = json(v), headers = { paths = table.concat(paths, '\1') } } } }):rows 'a'
        assert.are.equal(table.concat(expected, ' '), rows[1].s, table.concat(paths, '\n') .. '\n' .. json(v))
      end
    end
  end)
end)

-- ---- where paths are written ----

local function json_source(more)
  return ("kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json'%s }"):format(more or '')
end

describe('names with points and items of arrays', function()
  local event = { value = [[{"a.b":{"c":"k1"},"items":[{"sku":"s1"},{"sku":"s2"}],"kind of":[{"x.y":"Added"}],"v[0]":7,"n":null}]] }

  it('choose the row, the type and the version', function()
    local bundle = bundles.load(bundles.pipeline([[projection { table = 'a', key = { k = { 'text', from = "data['a.b'].c" },
        s = { 'text', from = { 'data.items[1].sku', 'data.items[2]["sku"]', 'data.items[3].sku', 'data.n' } } },
      columns = { v = 'bigint', n = 'integer' }, initial = { n = 0 }, once = { v = "data['v[0]']" },
      on = { Added = function(row) row.n = row.n + 1 end } }]], json_source [[, type = "data['kind of'][1]['x.y']"]]))
    local result = bundle:run { events = { event, event } }
    assert.are.same({ { k = 'k1', s = 's1', v = 7, n = 1 }, { k = 'k1', s = 's2', v = 7, n = 1 } }, result:rows 'a')
    local data = { ['a.b'] = { c = 'k2' }, items = { { sku = 's1' } }, ['v[0]'] = 1, ['kind of'] = { { z = 1 } } }
    result = bundle:run { events = { { type = 'Added', data = data } } }
    assert.are.same({ z = 1 }, data['kind of'][1])
    assert.are.same({ k = 'k2', s = 's1', v = 1, n = 1 }, result:row('a', { 'k2', 's1' }))
  end)

  it('are made of the type of a spec, in arrays that lack items too', function()
    local bundle = bundles.load(bundles.pipeline([[projection { table = 'a', append = true, columns = { n = 'text' },
      on = { A = function(row, event) row.n = event.data.a[3].k end } }]],
      json_source [[, type = "data.a[3].k"]]))
    assert.are.same({ { n = 'A' } }, bundle:run({ events = { { type = 'A', data = {} } } }):rows 'a')
    for _, data in ipairs { 'text', { a = 1 }, { a = { 1, 2, 'x' } } } do
      local ok, why = pcall(bundle.run, bundle, { events = { { type = 'A', data = data } } })
      assert.is_false(ok)
      assert.is_truthy(why:find("'type' goes to 'data.a[3].k', but", 1, true), why)
    end
  end)

  it('are refused when they are longer than what gets a column', function()
    local deep = 'data' .. ('.x'):rep(65)
    local said = bundles.refusal(bundles.pipeline(("projection { table = 'a', key = { k = { 'text', from = '%s' } }, columns = { n = 'integer' }, "
      .. "on = { A = function(row) row.n = 1 end } }"):format(deep), json_source((", type = '%s'"):format(deep))))
    assert.are.equal(2, select(2, said:gsub('at most 64 steps behind its first word, and this has 65', '')), said)
    assert.is_nil(path_of.read_column('data.' .. ('x'):rep(65536)))
    assert.are.same({ 'data', ('x'):rep(65535) }, path_of.read_column('data.' .. ('x'):rep(65535)))
  end)

  it('fill the columns of a mirror, by name and by path', function()
    local debezium = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium' }"
    local bundle = bundles.load(bundles.pipeline([[projection { table = 'a', mirror = true, key = { id = 'bigint' }, columns = {
      ['home.town'] = 'text', first = { 'text', from = "after['all names'][1]" }, deep = { 'text', from = "after['a.b'].c[2]['d.e']" },
      gone = { 'text', from = 'after["all names"][3]' } } }]], debezium))
    local result = bundle:run { events = { { key = { id = 1 }, op = 'c', after = { id = 1, ['home.town'] = 'Oslo',
      ['all names'] = { 'x', 'y' },
      ['a.b'] = { c = { 1, { ['d.e'] = 'deep' } } } } } } }
    assert.are.same({ { id = 1, ['home.town'] = 'Oslo', first = 'x', deep = 'deep' } }, result:rows 'a')
  end)

  it('are named in messages as they are written', function()
    local bundle = bundles.load(bundles.pipeline([[projection { table = 'a', key = { k = { 'bigint', from = "data['a.b'][2].c d" } },
      columns = { n = 'integer' }, on = function(row) row.n = 1 end }]], json_source()))
    local ok, reason = pcall(bundle.run, bundle, { events = { { value = [[{"a.b":[1,{"c d":"\ud83d"}]}]] } } })
    assert.is_false(ok)
    assert.is_truthy(reason:find('surrogate pair', 1, true), reason)
  end)

  it('are refused where they lead nowhere, in the line of the word', function()
    local said = bundles.refusal(bundles.pipeline([[
projection { table = 'a', key = { k = { 'text', from = 'data.items[0]' } }, columns = { n = 'integer' },
  once = { n = 'data.items[-1].n' },
  on = { A = function(row) row.n = 1 end } }]], json_source [[, type = "data['kind"]]))
    assert.are.equal([[
pipeline.lua:1: kafka: type = 'data['kind': the quote is not closed
pipeline.lua:4: projection 'a': from = 'data.items[0]': items of an array count from 1, as in Lua: [1] is the first
pipeline.lua:5: projection 'a': once.n = 'data.items[-1].n': items of an array count from 1, as in Lua, and none from its end]], said)
  end)
end)
