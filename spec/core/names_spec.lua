-- Names are the users': a field of a record, a header, a column, a table may have
-- any. LuaJIT looks up the fields of our structs before it asks us, so each of their
-- names is tried wherever users have names; they are read out of the declarations,
-- so that a new field is tried too. So are the words of views and rows.
local flow = require 'spec.core.flow'
local bundles = require 'spec.unit.bundles'
local core = require 'tidemill.core.api'
local ffi = require 'ffi'
local C = require('spec.core.core').lib

local root = (os.getenv('TIDEMILL_ROOT') or '.') .. '/'

local function read(path)
  local file = assert(io.open(root .. path))
  local text = file:read('*a')
  file:close()
  return text
end

-- ---- the names --------------------------------------------------------------

local NAMES, is_name = {}, {}

local function add(name)
  if not is_name[name] then
    is_name[name] = true
    NAMES[#NAMES + 1] = name
  end
end

local function add_fields(body)
  for name in body:gsub('/%*.-%*/', ''):gmatch('([%a_][%w_]*)%s*%f[,;%[]') do add(name) end
end

-- The fields of all structs of api.h, and of those that scripts/ declares.
for body in read('runtime/model/api.h'):gmatch('struct tm_%w+ (%b{});') do add_fields(body) end
local scripts = io.popen('find ' .. root .. "scripts/tidemill -name '*.lua'")
for path in scripts:lines() do
  local text = read(path:sub(#root + 1))
  for fields in text:gmatch("new_type%('([^']*)'") do add_fields(fields) end
  for body in text:gmatch('struct (%b{})') do add_fields(body) end
end
scripts:close()
local N_FIELDS = #NAMES

for _, word in ipairs { 'table', 'has', 'exists', 'delete', 'reset', 'row', 'load', 'add', 'insert', 'data', 'after', 'key',
  'source', 'headers', 'type', 're', 'im', 'x', '__index', '__newindex', '__gc', '__tostring', '__pairs', '1', '0', '-1', 'nan' } do
  add(word)
end
for _, field in ipairs { 'index', 'serial', 'lo' } do add('\195\191' .. field) end

-- A bigint each: name -> number.
local function values(from)
  local t = {}
  for i, name in ipairs(NAMES) do t[name] = from + i end
  return t
end

-- As Lua source: { ['name'] = <of(i)>, … }, of the names [from, to].
local function listed(of, from, to)
  local parts = {}
  for i = from or 1, to or #NAMES do parts[#parts + 1] = ('[%q] = %s'):format(NAMES[i], of(i)) end
  return '{ ' .. table.concat(parts, ', ') .. ' }'
end

local LIST = ('local NAMES = { %s }\n'):format(('%q, '):rep(#NAMES):format(unpack(NAMES)))
local JSON = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"

local function load(projections) return bundles.load(LIST .. bundles.pipeline(projections, JSON)) end

local function contains(part, whole) assert.is_truthy(tostring(whole):find(part, 1, true), whole) end

-- What a handler says of one event; it reads and assigns each name of NAMES.
local function says(body, event)
  local b = load("projection { table = 'a', append = true, columns = { said = 'text' }, on = function(row, event)\n"
    .. 'local said = {}\nlocal function tell(name, x) said[#said + 1] = name .. " " .. tostring(x) end\n' .. body
    .. "\nrow.said = #said > 0 and said[1] .. ' (' .. #said .. ')' or 'ok'\nend }")
  event.key = event.key or 'k'
  return b:run({ events = { event } }):rows('a')[1].said
end

describe('every name that a struct of ours has', function()
  it('is known', function()
    assert.is_true(N_FIELDS > 40)
    for _, name in ipairs { 'index', 'serial', 'node', 'pos', 'to', 'number', 'lo', 'hi', 'scale', 'first', 'n', 'cells' } do
      assert.is_true(is_name[name], name)
    end
  end)
  it('is a field of a record, also below another, and nothing else', function()
    assert.are.equal('ok', says([[
      for i, name in ipairs(NAMES) do
        if event.data[name] ~= 100 + i then tell(name, event.data[name]) end
        if event.data.o[name] ~= 200 + i then tell(name, event.data.o[name]) end
        if event.data.empty[name] ~= nil then tell(name, event.data.empty[name]) end
        if not event:has('data.o.' .. name) or event:has('data.empty.' .. name) then tell(name, 'has') end
        if tidemill.table(event.data.o)[name] ~= 200 + i then tell(name, 'table') end
      end
      local n = 0
      for name, v in pairs(event.data.o) do n = n + (v == event.data.o[name] and 1 or 0) end
      if n ~= #NAMES then tell('pairs', n) end]],
      { data = (function()
        local data = values(100)
        data.o, data.empty = values(200), { other = 1 }
        return data
      end)() }))
  end)
  it('is a field of a key, and a header', function()
    assert.are.equal('ok', says([[
      for i, name in ipairs(NAMES) do
        if event.key[name] ~= 100 + i then tell(name, event.key[name]) end
        if event.headers[name] ~= tostring(200 + i) then tell(name, event.headers[name]) end
        if not event:has('headers.' .. name) then tell(name, 'has') end
      end]], { key = values(100), headers = values(200), data = {} }))
    assert.are.equal('ok', says([[
      for i, name in ipairs(NAMES) do
        if event.headers[name] ~= nil then tell(name, event.headers[name]) end
        if event:has('headers.' .. name) then tell(name, 'has') end
      end]], { data = {} }))
  end)
  it('is the header of that very name, however long', function()
    local long = ('h'):rep(300)
    assert.are.equal('ok', says(([[
      if event.headers[%q] ~= 'x' or event.headers[%q] ~= nil then tell('long', event.headers[%q]) end
      if event.headers['short\0er'] ~= nil or event.headers.short ~= 'y' then tell('zero', 'byte') end]]):format(long, long .. 'h', long),
      { data = {}, headers = { [long] = 'x', short = 'y' } }))
  end)
  it('cannot be assigned to what an event holds', function()
    assert.are.equal('ok', says([[
      local function refuses(name, x)
        local ok, why = pcall(function() x[name] = 7 end)
        if ok or why ~= "event fields cannot be assigned (field '" .. name .. "')" then tell(name, why) end
      end
      for _, name in ipairs(NAMES) do
        refuses(name, event) refuses(name, event.data) refuses(name, event.data.o) refuses(name, event.key)
        refuses(name, event.headers)
      end]], { key = { id = 1 }, data = { o = { x = 1 } }, headers = { h = 'x' } }))
  end)
  it('is no field of an event, but for its words', function()
    assert.are.equal('ok', says([[
      local IS_WORD = {}
      for name in ('key type id time op data before after source headers topic partition offset has'):gmatch('%w+') do
        IS_WORD[name] = true
      end
      for _, name in ipairs(NAMES) do
        local ok, why = pcall(function() return event[name] end)
        if ok ~= (IS_WORD[name] or false) then tell(name, why) end
      end]], { data = {} }))
  end)
  it('is no column of a row that has none of that name', function()
    assert.are.equal('ok', says([[
      local IS_WORD = { exists = true, delete = true, reset = true }
      for _, name in ipairs(NAMES) do
        local ok, why = pcall(function() return row[name] end)
        local no_column = "table 'a' has no column '" .. name .. "'"
        if not IS_WORD[name] and (ok or not why:find(no_column, 1, true)) then tell(name, why) end
        ok, why = pcall(function() row[name] = 1 end)
        if ok or not why:find(IS_WORD[name] and 'cannot be assigned' or no_column, 1, true) then tell(name, why) end
      end]], { data = {} }))
  end)
  it('is no field of a decimal or a large integer, which nobody changes', function()
    assert.are.equal('ok', says([[
      local d, i, u = decimal '1.50', event.data.i, event.data.beyond
      for _, name in ipairs(NAMES) do
        for _, x in ipairs { d, i, u, event.data.d, event.data.big } do
          local ok, why = pcall(function() return x[name] end)
          if ok then tell(name, why) end
          ok, why = pcall(function() x[name] = 0 end)
          if ok then tell(name, why) end
        end
        local ok, why = pcall(function() d[name] = 0 end)
        if why ~= "a decimal has no field '" .. name .. "' and cannot be changed" then tell(name, why) end
      end
      if tostring(d) ~= '1.50' or tostring(event.data.big) ~= '12345678901234567890123.5' then tell('decimal', d) end]],
      { value = '{"i":9007199254740993,"beyond":1e400,"d":0.5,"big":12345678901234567890123.5}' }))
  end)
end)

-- Each name as a column, in projections of as many as there may be.
local KINDS = {
  fold = { 'on = function(row, event)', "key = { k = { 'text', from = 'data.k' } },", true },
  map = { 'map = function(row, event)', "key = { k = { 'text', from = 'key' } },", true },
  append = { 'append = true, on = function(row, event)', '', true },
  merge = { nil, "key = { k = { 'text', from = 'data.k' } },", false },
}
local CHUNK, KEY_CHUNK = 60, 32

describe('every such name as a column', function()
  for kind, k in pairs(KINDS) do
    it('is read and assigned in its own row: ' .. kind, function()
      for from = 1, #NAMES, CHUNK do
        local to = math.min(from + CHUNK - 1, #NAMES)
        local head = k[1] or ('merge = %s, on = function(row, event)'):format(listed(function() return "'sum'" end, from, to))
        local b = load(("projection { table = 'a', %s columns = %s, %s\n"):format(k[2],
          listed(function() return "'bigint'" end, from, to), head)
          .. ('for i = %d, %d do\nlocal name = NAMES[i]\n'):format(from, to)
          .. 'if row[name] ~= nil then error(name) end\nrow[name] = event.data.v[name]\n'
          .. ('if row[name] ~= %s then error(name) end\nend end }'):format(k[3] and 'event.data.v[name]' or 'nil'))
        local rows = b:split({ events = {
          { key = 'a', data = { k = 'a', v = values(1000) } }, { key = 'b', data = { k = 'b', v = values(2000) } },
        } }):rows('a')
        assert.are.equal(2, #rows)
        for i = from, to do
          assert.are.same({ 1000 + i, 2000 + i }, { rows[1][NAMES[i]], rows[2][NAMES[i]] }, NAMES[i])
        end
      end
    end)
  end
  it('is a key column, which is read and cannot be assigned', function()
    for from = 1, #NAMES, KEY_CHUNK do
      local to = math.min(from + KEY_CHUNK - 1, #NAMES)
      local b = load(("projection { table = 'a', key = %s, columns = { said = 'text' }, on = function(row, event)\n"):format(
        listed(function(i) return ("{ 'bigint', from = 'data.v.%s' }"):format(NAMES[i]) end, from, to))
        .. ('for i = %d, %d do\nlocal name = NAMES[i]\nif row[name] ~= 500 + i then error(name) end\n'):format(from, to)
        .. "if pcall(function() row[name] = 1 end) then error(name) end\nend\nrow.said = 'x' end }")
      local key = {}
      for i = from, to do key[NAMES[i]] = 500 + i end
      assert.are.equal('x', b:split({ events = { { key = 'a', data = { v = values(500) } } } }):row('a', key).said)
    end
  end)
  it('is what a row holds that was there, with initial values', function()
    for from = 1, #NAMES, CHUNK do
      local to = math.min(from + CHUNK - 1, #NAMES)
      local b = load(("projection { table = 'a', key = { k = { 'text', from = 'key' } }, columns = %s, initial = %s,\n"):format(
        listed(function() return "'bigint'" end, from, to), listed(function() return '5' end, from, to))
        .. ('on = function(row, event) for i = %d, %d do row[NAMES[i]] = row[NAMES[i]] + 1 end end }'):format(from, to))
      local given = { k = 'a' }
      for i = from, to do given[NAMES[i]] = 70 end
      local result = b:split { given = { a = { given } }, events = { { key = 'a', data = {} }, { key = 'b', data = {} } } }
      for i = from, to do
        assert.are.same({ 71, 6 }, { result:row('a', 'a')[NAMES[i]], result:row('a', 'b')[NAMES[i]] }, NAMES[i])
      end
    end
  end)
  it('is what a mirror copies', function()
    for from = 1, #NAMES, CHUNK do
      local to = math.min(from + CHUNK - 1, #NAMES)
      local b = bundles.load(bundles.pipeline(("projection { table = 'a', mirror = true, key = { k = 'text' }, columns = %s }"):format(
        listed(function() return "'bigint'" end, from, to)), (JSON:gsub("'json'", "'debezium'"))))
      local after = values(300)
      after.k = 'a'
      local row = b:run({ events = { { key = { k = 'a' }, after = after } } }):row('a', 'a')
      for i = from, to do assert.are.equal(300 + i, row[NAMES[i]], NAMES[i]) end
    end
  end)
end)

describe('every such name in a batch function', function()
  local BATCH = "projection { tables = %s, batch = function(batch, tables)\n%s\nend }"
  it('is a table, with rows and a column of that name', function()
    local b = load(BATCH:format(listed(function(i)
      return ("{ table = 't%d', key = { id = 'bigint' }, columns = { [%q] = 'bigint', m = 'bigint' } }"):format(i, NAMES[i])
    end, 1, math.min(#NAMES, 90)), [[
      for event in batch:events() do
        for i = 1, math.min(#NAMES, 90) do
          local row = tables[NAMES[i] ]:row(event.data.id)
          row[NAMES[i] ], row.m = event.data.id * 1000 + i, event.data.id
        end
      end]]))
    local result = b:run { events = { { key = 'k', data = { id = 1 } }, { key = 'k', data = { id = 2 } } } }
    for i = 1, math.min(#NAMES, 90) do
      assert.are.same({ { id = 1, [NAMES[i]] = 1000 + i, m = 1 }, { id = 2, [NAMES[i]] = 2000 + i, m = 2 } },
        result:rows('t' .. i), NAMES[i])
    end
  end)
  it('is no field of a loop, or of its state', function()
    local b = load(BATCH:format("{ a = { key = { id = { 'bigint', from = 'data.id' } }, columns = { n = 'bigint' } },"
      .. " l = { append = true, columns = { said = 'text' } } }", [[
      local _, all = batch:events()
      local _, mine = tables.a:events()
      local step, groups = tables.a:groups()
      local row, events = step(groups)
      for _, name in ipairs(NAMES) do
        for i, x in ipairs { all, mine, groups, events } do
          if pcall(function() return x[name] end) or pcall(function() x[name] = 1000 end) then
            tables.l:insert { said = i .. ' ' .. name }
          end
        end
      end
      row.n = 0
      for event in events do row.n = row.n + event.data.id end]]))
    local result = b:run { events = { { key = 'k', data = { id = 4 } } } }
    assert.are.same({}, result:rows('l'))
    assert.are.same({ { id = 4, n = 4 } }, result:rows('a'))
  end)
end)

-- ---- words that a field or column has taken ---------------------------------

describe('a word', function()
  it('of an object is a call; the same name as a field is the record\'s', function()
    assert.are.equal('ok', says([[
      local data, own = event.data, { table = function(self, a, b) return self.n .. (a or '') .. (b or '') end, n = 'own' }
      if data.table ~= 7 or data.o.table ~= nil or data.o.has ~= nil then tell('field', data.table) end
      if data:table().table ~= 7 or data.o:table().x ~= 1 or (data.o):table()['x'] ~= 1 then tell('call', 'of a view') end
      if own:table() .. own:table(1) .. own:table('a', own:table()) ~= 'own' .. 'own1' .. 'ownaown' then tell('call', 'of a table') end
      if event.source ~= nil or data.list[1]. table ~= 9 then tell('list', data.list[1].table) end]],
      { data = { table = 7, o = { x = 1 }, list = { { table = 9 } } } }))
  end)
  it('called on nil says that the field is not there', function()
    local b = load("projection { table = 'a', append = true, columns = { n = 'text' }, on = function(row, event)\n"
      .. 'row.n = event.data.o:table().x\nend }')
    local ok, why = pcall(b.run, b, { events = { { key = 'k', data = {} } } })
    assert.is_false(ok)
    contains("pipeline.lua:6: ':table()' of nil: the field is missing or null", why)
  end)

  local COLUMNS = "columns = { exists = 'text', delete = 'bigint', reset = 'bigint', n = 'bigint' }, initial = { n = 3 }, on = function(row, event)\n"
  it('of a row is the column of that name, and tidemill.word(row) the word', function()
    local b = load("projection { table = 'a', key = { k = { 'text', from = 'key' } }, " .. COLUMNS .. [[
      if event.data.op == 'delete' then return tidemill.delete(row) end
      if event.data.op == 'reset' then return tidemill.reset(row) end
      row.exists = (row.exists or '') .. tostring(tidemill.exists(row))
      row.delete, row.reset, row.n = 8, 9, row.n + 1
    end }]])
    local function event(op) return { key = 'k', data = { op = op } } end
    assert.are.same({ { k = 'k', exists = 'falsetrue', delete = 8, reset = 9, n = 5 } }, b:split({ events = { event(), event() } }):rows('a'))
    assert.are.same({ { k = 'k', n = 3 } }, b:split({ events = { event 'reset' } }):rows('a'))
    assert.are.same({}, b:split({ events = { event 'delete' } }):rows('a'))
    assert.are.same({ { k = 'k', exists = 'false', delete = 8, reset = 9, n = 4 } }, b:split({ events = { event() } }):rows('a'))
  end)
  it('of a row that is called where a column has its name says what to write', function()
    local b = load("projection { table = 'a', key = { k = { 'text', from = 'key' } }, " .. COLUMNS .. 'row:delete()\nend }')
    local ok, why = pcall(b.run, b, { events = { { key = 'k', data = {} } } })
    assert.is_false(ok)
    contains('where a column has that name, write tidemill.delete(row)', why)
  end)
  it('is refused where it is asked of something else', function()
    assert.are.equal('ok', says([[
      local function refuses(part, f, ...)
        local ok, why = pcall(f, ...)
        if ok or not why:find(part, 1, true) or why:find('[\128-\255]') then tell(part, why) end
      end
      refuses('tidemill.delete takes a row, not an event', tidemill.delete, event)
      refuses('tidemill.exists takes a row, not nil', tidemill.exists)
      refuses('tidemill.reset takes a row, not an object of an event', tidemill.reset, event.data)
      refuses('tidemill.table takes an object of an event, not a table', tidemill.table, {})
      refuses('tidemill.table takes an object of an event, not a row', tidemill.table, row)
      refuses('tidemill.has takes an event, not a text', tidemill.has, 'data.x')
      refuses('tidemill.has takes an event, not a number', tidemill.has, decimal '1')
      refuses('tidemill.deleet is not available: did you mean', function() return tidemill.deleet end)
      refuses('tidemill cannot be changed', function() tidemill.x = 1 end)
      refuses("write event:has('data.x'), with a colon", event.has, 'data.x')
      refuses("write event:has('data.x'), with a colon", event.has, row)
      refuses("this is no row of 'a'", row.delete, event)
      refuses("this is no row of 'a'", row.delete)
      refuses('headers are read by name', tidemill.table, event.headers)
      if not tidemill.has(event, 'data.o') or tidemill.has(event, 'data.x') then tell('has', 'wrong') end]],
      { data = { o = {} } }):gsub('^this is no row.*', 'ok'))
  end)
  it('never shows a name or an address of ours', function()
    assert.are.equal('ok', says([[
      local function shows(text)
        if text:find('struct') or text:find('cdata') or text:find('[\128-\255]') or text:find('0x') then tell('shows', text) end
      end
      for _, x in ipairs { event, event.headers, event.data, row, decimal '1' } do
        shows(tostring(x))
        shows(('%s'):format(x))
      end]], { data = { o = 1 } }))
    local b = load("projection { table = 'a', append = true, columns = { n = 'text' }, on = function(row, event)\nrow.n = 'x' .. event\nend }")
    local ok, why = pcall(b.run, b, { events = { { key = 'k', data = {} } } })
    assert.is_false(ok)
    contains("pipeline.lua:6: attempt to concatenate a text and an event: name one of its fields", why)
  end)
  it('of a row of one table is refused for a row of another, as are loops', function()
    local b = load("projection { tables = { a = { key = { id = { 'bigint', from = 'data.id' } }, columns = { n = 'bigint' } }, "
      .. "b = { key = { id = 'bigint' }, columns = { n = 'bigint' } }, l = { append = true, columns = { said = 'text' } } },\n"
      .. [[batch = function(batch, tables)
      local a, b = tables.a:row(1), tables.b:row(2)
      local step_of_events, step_of_groups = tables.a:events(), tables.a:groups()
      local _, all = batch:events()
      local _, events = tables.a:events()
      local function tell(ok, why) tables.l:insert { said = tostring(ok) .. ' ' .. why } end
      tell(pcall(a.delete, b))
      tell(pcall(step_of_groups, events))
      tell(pcall(step_of_events, all))
      tell(pcall(step_of_events, { 1 }))
    end }]])
    local said = {}
    for i, row in ipairs(b:run({ events = { { key = 'k', data = { id = 1 } } } }):rows('l')) do said[i] = row.said end
    assert.are.same({
      "false this is no row of 'a': write row:delete() and row:reset(), with a colon",
      'false this is no loop of that table: write `for … in tables.x:events() do`',
      'false this is no loop of that table: write `for … in tables.x:events() do`',
      'false this is no loop of that table: write `for … in tables.x:events() do`',
    }, said)
  end)
end)

-- ---- what is written where no row is ----------------------------------------

ffi.cdef [[
int fork(void);
int waitpid(int, int *, int);
void _exit(int);
int dup2(int, int);
int open(const char *, int, ...);
]]
local ABRT = 6

-- The signal that a process dies of which does this; 0: it does not.
local function dies_of(f)
  local pid = C.fork()
  if pid == 0 then
    C.dup2(C.open('/dev/null', 1), 2)
    f()
    C._exit(0)
  end
  local status = ffi.new('int[1]')
  C.waitpid(pid, status, 0)
  return status[0] % 128
end

describe('a place that no batch has', function()
  local function trial()
    local t = flow.trial("table = 'a', key = { id = { 'bigint', from = 'data.id' } }, columns = { n = 'bigint', s = 'text' }, "
      .. 'on = function(row, event) row.n = 1 end')
    assert(t:rows { { 'k', '{"id":1}' }, { 'k', '{"id":2}' } })
    return t
  end
  it('ends the process that asks the core to write there', function()
    local t, cell, len = trial(), ffi.new('struct tm_cell'), ffi.new('size_t[1]')
    local b, v = t.batch, t.view
    local p = ffi.new('const char *[1]')
    for what, f in pairs {
      ['tm_put, row'] = function() C.tm_put(b, v, 1, 2, cell) end,
      ['tm_put, column'] = function() C.tm_put(b, v, 3, 0, cell) end,
      ['tm_text, column'] = function() C.tm_text(b, v, 3, cell, p, len) end,
      tm_row_delete = function() C.tm_row_delete(b, v, 2) end,
      tm_row_reset = function() C.tm_row_reset(b, v, 2) end,
      tm_row_create = function() C.tm_row_create(b, v, 2) end,
      tm_row_layer = function() C.tm_row_layer(b, v, 2, cell) end,
      tm_row_merge = function() C.tm_row_merge(b, v, 2) end,
      tm_row_told = function() C.tm_row_told(b, v, 2) end,
      tm_row_restart = function() C.tm_row_restart(b, v, 2) end,
      tm_once = function() C.tm_once(b, v, 2, cell) end,
      tm_meta = function() C.tm_meta(b, 2, C.TM_META_TOPIC, cell) end,
      tm_header = function() C.tm_header(b, 2, 'h', 1, cell) end,
      tm_field = function() C.tm_field(b, 0, 1000, 'x', 1, 0) end,
      ['tm_field, negative'] = function() C.tm_field(b, 0, -1, 'x', 1, 0) end,
      ['tm_field, event'] = function() C.tm_field(b, 2, 0, 'x', 1, 0) end,
      ['tm_field, loose'] = function() C.tm_field(b, 2, C.TM_LOOSE + 1, 'x', 1, 0) end,
      tm_loose = function() C.tm_loose(b, 2, C.TM_LOOSE) end,
      ['tm_loose, a node'] = function() C.tm_loose(b, 0, 1) end,
      tm_column = function() C.tm_column(b, 1000) end,
    } do
      assert.are.equal(ABRT, dies_of(f), what)
    end
    assert.are.equal(0, dies_of(function() C.tm_must_hold(v, 2, 1) end))
    assert.are.equal(ABRT, dies_of(function() C.tm_must_hold(v, 2, 2) end))
    assert.are.equal(ABRT, dies_of(function() C.tm_must_hold(v, 3, 1) end))
  end)
  it('ends a debug build when Lua itself would write there', function()
    -- What was assigned before is assigned again without a call of the core.
    local function again(n_rows, n_columns)
      local t = trial()
      t:fold()
      t.view.n_rows, t.view.n_columns = n_rows, n_columns
      return dies_of(function() t:fold() end)
    end
    assert.are.equal(0, again(2, 3))
    assert.are.equal(core.host.is_debug and ABRT or 0, again(1, 3))
    assert.are.equal(core.host.is_debug and ABRT or 0, again(2, 1))
  end)
end)
