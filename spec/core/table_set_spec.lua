-- Batch functions on the real rows, with a table of Lua in place of the
-- database: what is loaded, what fails, and what is left.
local flow = require 'spec.core.flow'
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

local batches = require 'spec.core.batches'

local FAILURE = ffi.new('struct err')
local ACCOUNTS, OWNERS, ENTRIES = 0, 1, 2
local LIMIT = 60

local PIPELINE = bundles.pipeline(([[
  projection {
    tables = {
      accounts = { key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint', list = 'text' }, initial = { n = 0, list = '' } },
      owners = { key = { owner = 'text' }, columns = { n = 'bigint', list = 'text', next = 'text' }, initial = { n = 0, list = '' } },
      entries = { append = true, columns = { x = 'bigint', at = 'bigint' } },
    },
    batch = function(batch, tables)
      local is_broken = false
      for event, row in tables.accounts:events() do
        local d = event.data
        row.n, row.list = row.n + d.x, row.list .. d.x .. ' '
        local o = tables.owners:row(d.o)
        if d.follow and o.next then o = tables.owners:row(o.next) end
        o.n, o.list = o.n + d.x, o.list .. d.x .. ' '
        if d.link then o.next = d.link end
        if d.drop then o:delete() end
        if o.n > %d then error('too much') end
        if d.bad then error('a bad record') end
        if d.outside then is_broken = true end
        local l = tables.entries:add()
        l.x, l.at = d.x, o.n
      end
      if is_broken then error('outside of any event') end
    end,
  },
  projection { table = 'log', append = true, columns = { x = 'bigint', k = 'bigint' },
    on = function(row, event) row.x, row.k = event.data.x, event.data.k end },
]]):format(LIMIT), "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }")

local Batch = batches.Batch

local VALUES = { [ACCOUNTS] = { 'n', 'list' }, [OWNERS] = { 'n', 'list', 'next' } }

local function cell_of(v)
  if v == nil then return core.null() end
  return type(v) == 'number' and core.int(v) or core.text(v)
end

-- What the statements that load would bring.
function Batch:load(db)
  for i, names in pairs(VALUES) do
    local r = self.c.rows[i]
    C.rows_unload(r)
    r.n_known = r.view.n_rows
    for row = 0, r.view.n_rows - 1 do
      local known = db[i][flow.value(r.view.cells[0][row])]
      if known then
        r.base_flags[row] = C.TM_ROW_LOADED + C.TM_ROW_EXISTS
        for k, name in ipairs(names) do r.base[k][row] = cell_of(known[name]) end
      end
    end
  end
end

local function plain(cell)
  local v = flow.value(cell)
  if v == 'null' or v == 'missing' then return nil end
  return v
end

-- What the statements that write would leave.
function Batch:store(db)
  for i, names in pairs(VALUES) do
    local view = self.c.rows[i].view
    for row = 0, view.n_rows - 1 do
      local key, flags = flow.value(view.cells[0][row]), view.flags[row]
      if bit.band(flags, C.TM_ROW_TOUCHED) ~= 0 then
        db[i][key] = nil
        if bit.band(flags, C.TM_ROW_EXISTS) ~= 0 then
          db[i][key] = {}
          for k, name in ipairs(names) do db[i][key][name] = plain(view.cells[k][row]) end
        end
      end
    end
  end
  local view = self.c.rows[ENTRIES].view
  for row = 0, view.n_rows - 1 do
    db[ENTRIES][#db[ENTRIES] + 1] = { plain(view.cells[0][row]), plain(view.cells[1][row]) }
  end
end

-- As transact.c does it: a trial, then runs until no row is missing. How many
-- runs were thrown away.
function Batch:apply(db, lanes)
  self:begin(lanes):decode()
  C.batch_keys(self.c)
  C.batch_try(self.c)
  for n_short = 0, 30 do
    self:load(db)
    local ok = C.batch_fold(self.c, FAILURE)
    if not ok then return nil, ffi.string(FAILURE.text) end
    if not self.c.scripts.is_short then
      C.batch_set_ends(self.c)
      self:store(db)
      return n_short
    end
  end
  error('it asks for more and more')
end

local function new_db() return { [ACCOUNTS] = {}, [OWNERS] = {}, [ENTRIES] = {} } end

local function record(d)
  local parts = {}
  for _, name in ipairs { 'id', 'o', 'link', 'x', 'k', 'follow', 'drop', 'bad', 'outside' } do
    local v = d[name]
    if type(v) == 'string' and name ~= 'k' then v = '"' .. v .. '"' end
    if v ~= nil then parts[#parts + 1] = ('"%s":%s'):format(name, tostring(v)) end
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

local function add(row, x)
  return { n = row.n + x, list = row.list .. x .. ' ', next = row.next }
end

local EMPTY = { n = 0, list = '' }

-- The same in Lua alone; false: it would raise, and nothing is changed.
local function model(db, d)
  local owner = d.o
  local o = db[OWNERS][owner] or EMPTY
  if d.follow and o.next then
    owner = o.next
    o = db[OWNERS][owner] or EMPTY
  end
  o = add(o, d.x)
  if d.link then o.next = d.link end
  local at = d.drop and 0 or o.n
  if at > LIMIT or d.bad or d.k then return false end
  db[ACCOUNTS][d.id] = add(db[ACCOUNTS][d.id] or EMPTY, d.x)
  db[ACCOUNTS][d.id].next = nil
  db[OWNERS][owner] = not d.drop and o or nil
  db[ENTRIES][#db[ENTRIES] + 1] = { d.x, at }
  return true
end

describe('a batch function', function()
  local batch
  setup(function() batch = batches.open(PIPELINE) end)
  teardown(function() batch:forget():close() end)
  before_each(function() batch:forget() end)

  local function owners(db)
    local out = {}
    for owner, row in pairs(db[OWNERS]) do out[owner] = row.list end
    return out
  end

  it('runs once when a trial has named all rows', function()
    local db = new_db()
    db[OWNERS].p = { n = 5, list = '5 ' }
    assert.are.equal(0, batch:apply(db, { { record { id = 'a', o = 'p', x = 1 }, record { id = 'b', o = 'q', x = 2 } },
      { record { id = 'c', o = 'p', x = 3 } } }))
    assert.are.same({ p = '5 1 3 ', q = '2 ' }, owners(db))
    assert.are.same({ { 1, 6 }, { 2, 2 }, { 3, 9 } }, db[ENTRIES])
    assert.are.equal('.. .', batch:states())
  end)

  it('runs again with a row that another row names', function()
    local db = new_db()
    db[OWNERS].p, db[OWNERS].q = { n = 0, list = '', next = 'q' }, { n = 7, list = '7 ' }
    assert.are.equal(1, batch:apply(db, { { record { id = 'a', o = 'p', x = 1, follow = true } } }))
    assert.are.same({ p = '', q = '7 1 ' }, owners(db))
  end)

  it('keeps the rows of a run that is thrown away for the next one', function()
    local db, lane = new_db(), {}
    for i = 1, 300 do
      lane[i] = record { id = 'a' .. i, o = 'p' .. i, x = 1, follow = true }
      db[OWNERS]['p' .. i] = { n = 0, list = '', next = 'q' .. i }
      db[OWNERS]['q' .. i] = { n = 1, list = '1 ' }
    end
    assert.are.equal(1, batch:apply(db, { lane }))
    assert.are.equal('1 1 ', db[OWNERS].q300.list)
    assert.are.equal(300, #db[ENTRIES])
    assert.are.equal(600, batch.c.rows[OWNERS].view.n_rows)
  end)

  it('is called again without the event at which it raised', function()
    local db = new_db()
    batch:apply(db, { { record { id = 'a', o = 'p', x = 1 }, record { id = 'b', o = 'p', x = 2, bad = true },
      record { id = 'b', o = 'p', x = 3 }, record { id = 'c', o = 'p', x = 4 } } })
    assert.are.equal('.Fh.', batch:states())
    assert.are.same({ p = '1 4 ' }, owners(db))
    assert.are.same({ { 1, 1 }, { 4, 5 } }, db[ENTRIES])
    assert.is_truthy(batch:reason(1):find('pipeline.lua:21: a bad record', 1, true), batch:reason(1))
  end)

  it('takes what it refused only behind a record that another projection refuses', function()
    local db = new_db()
    batch:apply(db, { { record { id = 'a', o = 'p', x = 50, k = '"no"' }, record { id = 'b', o = 'p', x = 20 },
      record { id = 'c', o = 'p', x = 50 } } })
    assert.are.equal('F.F', batch:states())
    assert.are.same({ p = '20 ' }, owners(db))
  end)

  it('is not stopped by what it raises for rows that are not loaded', function()
    local db, lane = new_db(), {}
    for i = 1, 200 do
      lane[i] = record { id = 'a' .. i, o = 'p' .. i, x = LIMIT + 1 }
      db[OWNERS]['p' .. i] = { n = -LIMIT, list = '' }
    end
    assert.are.equal(0, batch:apply(db, { { record { id = 'z', o = 'z', x = 1 } }, lane }))
    assert.are.equal(201, batch.c.rows[OWNERS].view.n_rows)
    assert.are.equal(1, db[OWNERS].p200.n)
  end)

  it('is refused when it raises outside of any event, unless one record is left', function()
    local bad = record { id = 'b', o = 'p', x = 2, outside = true }
    local ok, reason = batch:apply(new_db(), { { record { id = 'a', o = 'p', x = 1 }, bad } })
    assert.is_nil(ok)
    assert.are.equal(C.ERR_SCRIPT, FAILURE.class)
    assert.is_truthy(reason:find('outside of any event', 1, true))
    assert.are.equal(0, batch:apply(new_db(), { { bad } }))
    assert.are.equal('F', batch:states())
    assert.is_truthy(batch:reason(0):find('outside of any event', 1, true))
  end)

  it('is not to blame a bystander for a row that lacks a column', function()
    local facts = batch.generation.tables.facts.tables[OWNERS]
    C.facts_set_given(facts, 3, true)
    finally(function() C.facts_set_given(facts, 3, false) end)
    local db = new_db()
    batch:apply(db, { { record { id = 'a', o = 'p', x = 1, link = 'x' }, record { id = 'b', o = 'q', x = 2 },
      record { id = 'c', o = 'r', x = 3, link = 'x' } } })
    assert.are.equal('.F.', batch:states())
    assert.is_truthy(batch:reason(1):find('owners.next: the row has no value for it', 1, true))
    assert.are.same({ p = '1 ', r = '3 ' }, owners(db))
  end)

  local function lane_of(n, is_bad)
    local lane, states = {}, {}
    for i = 1, n do
      lane[i] = record { id = 'k' .. i, o = 'p' .. i % 50, x = 1, bad = is_bad(i) or nil }
      states[i] = is_bad(i) and 'F' or '.'
    end
    return lane, table.concat(states)
  end

  it('comes to rest with some failures', function()
    local lane, states = lane_of(1000, function(i) return i % 40 == 7 end)
    local db = new_db()
    assert.are.equal(0, batch:apply(db, { lane }))
    assert.are.equal(states, batch:states())
    assert.are.equal(975, #db[ENTRIES])
  end)

  it('with many failures is refused, so that they are taken in smaller batches', function()
    local lane = lane_of(1000, function(i) return i % 25 == 7 end)
    local db = new_db()
    local ok, reason = batch:apply(db, { lane })
    assert.is_nil(ok)
    assert.are.equal(C.ERR_SCRIPT, FAILURE.class)
    assert.is_truthy(reason:find('a bad record', 1, true))
    for i = 0, 3 do
      local part = {}
      for k = 1, 250 do part[k] = lane[i * 250 + k] end
      assert.are.equal(0, batch:apply(db, { part }))
    end
    assert.are.equal(960, #db[ENTRIES])
  end)

  it('halts a lane of which too many records fail', function()
    local lane = lane_of(60, function(i) return i > 3 end)
    local db = new_db()
    assert.are.equal(0, batch:apply(db, { lane, { record { id = 'z', o = 'z', x = 1 } } }))
    assert.are.equal(53, batch.leases[0].halt)
    assert.are.equal('...' .. ('F'):rep(50) .. ('-'):rep(7) .. ' .', batch:states())
    assert.are.equal(4, #db[ENTRIES])
  end)

  -- What ends a run ends a trial too, and is no less than that.
  describe('in a trial', function()
    local GREEDY = bundles.pipeline([[
      projection {
        tables = {
          many = { key = { k = 'bigint' }, columns = { n = 'bigint', a = 'text', b = 'text',
            c = 'text', d = 'text', e = 'text', f = 'text', g = 'text', h = 'text' } },
          others = { key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint' } },
        },
        batch = function(batch, tables)
          for event in tables.others:events() do
            local d = event.data
            if d.hungry then
              local t = {}
              for i = 1, 40 do t[i] = ('x'):rep(1.6e7) .. i end
            end
            if d.rows then
              pcall(function() for k = 1, d.rows do tables.many:row(k) end end)
            end
          end
        end,
      }]], "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }")
    -- A VM that ran out of memory is made anew, from the files.
    local function with(each)
      batches.with(GREEDY, function(greedy)
        greedy.c.memory.most_bytes = 1
        each(greedy, function(...)
          greedy:begin({ { ... } }):decode()
          C.batch_keys(greedy.c)
          return C.batch_try(greedy.c)
        end)
      end)
    end
    local SMALL, ROWS = '{"id":"a"}', '{"id":"b","rows":200000}'

    it('is given up when it asks for too many rows, or takes all memory of scripts', function()
      with(function(_, try)
        assert.is_true(try(SMALL, '{"id":"b","rows":70}'))
        assert.is_false(try(SMALL, ROWS))
        assert.is_false(try(SMALL, '{"id":"c","hungry":true}'))
      end)
    end)

    it('leaves a record alone to its run, which does not ask for more rows again and again', function()
      with(function(greedy, try)
        assert.is_true(try(ROWS))
        assert.is_true(C.batch_fold(greedy.c, FAILURE))
        assert.are.equal('F', greedy:states())
        assert.is_false(greedy.c.scripts.is_short)
        assert.is_truthy(greedy:reason(0):find('make too much of this record', 1, true), greedy:reason(0))
      end)
    end)
  end)

  it('counts rows of all its runs over several records together', function()
    local asks = batches.open(bundles.pipeline([[
      projection {
        tables = {
          many = { key = { k = 'bigint' }, columns = { n = 'bigint', a = 'text', b = 'text',
            c = 'text', d = 'text', e = 'text', f = 'text', g = 'text', h = 'text' } },
          others = { key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint' } },
        },
        batch = function(batch, tables)
          for event in tables.others:events() do
            local at = 0
            while tables.many:row(at).exists do at = at + 20000 end
            for k = at, at + 19999 do tables.many:row(k) end
          end
        end,
      }]], "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"))
    finally(function() asks:forget():close() end)
    asks.c.memory.most_bytes = 1
    asks:begin({ { '{"id":"a"}', '{"id":"b"}' } }):decode()
    C.batch_keys(asks.c)
    local ok, n, r = C.batch_try(asks.c), 0, asks.c.rows[0]
    while ok and n < 16 do
      n = n + 1
      C.rows_unload(r)
      r.n_known = r.view.n_rows
      for row = 0, r.view.n_rows - 1 do
        r.base_flags[row] = C.TM_ROW_LOADED + C.TM_ROW_EXISTS
        r.base[1][row] = core.null()
      end
      ok = C.batch_fold(asks.c, FAILURE)
    end
    assert.is_true(C.batch_is_over(asks.c))
    assert.is_true(tonumber(asks.c.memory.arena.taken) < 100 * 2 ^ 20, tonumber(asks.c.memory.arena.taken))
  end)

  local function random_event(x, share)
    local function maybe(v) return math.random(share) == 1 and v or nil end
    return { id = 'r' .. math.random(8), o = 'o' .. math.random(6), x = x, follow = math.random(2) == 1 or nil,
      link = math.random(4) == 1 and 'o' .. math.random(9) or nil, drop = math.random(8) == 1 or nil,
      bad = maybe(true), k = maybe('"no"') }
  end

  it('for any records leaves what a model leaves that takes one after the other', function()
    math.randomseed(31)
    local n_short, n_failed = 0, 0
    for _ = 1, core.rounds(60) do
      local db, want = new_db(), new_db()
      local share = math.random(2) == 1 and 1000 or math.random(4, 40)
      for _ = 1, 5 do
        batch:forget()
        local lanes, states = {}, {}
        for lane = 1, math.random(1, 4) do
          local values, part, held = {}, {}, {}
          for i = 1, math.random(1, 30) do
            local d = random_event(math.random(1, 9), share)
            values[i] = record(d)
            part[i] = held[d.id] and 'h' or model(want, d) and '.' or 'F'
            held[d.id] = part[i] ~= '.' or nil
            n_failed = n_failed + (part[i] == 'F' and 1 or 0)
          end
          lanes[lane], states[lane] = values, table.concat(part)
        end
        n_short = n_short + batch:apply(db, lanes)
        assert.are.equal(table.concat(states, ' '), batch:states())
        assert.are.same(want, db)
      end
    end
    assert.is_true(n_short > core.rounds(20) and n_failed > core.rounds(100),
      n_short .. ' ' .. n_failed)
  end)

  it('does not depend on how records are split into batches', function()
    math.randomseed(37)
    for _ = 1, core.rounds(40) do
      local all, want = {}, new_db()
      repeat
        local d = random_event(math.random(1, 3), 1e9)
        if model(want, d) then all[#all + 1] = record(d) end
      until #all == 60
      local db, at = new_db(), 1
      while at <= #all do
        local lane = {}
        for _ = 1, math.random(1, 20) do
          lane[#lane + 1], at = all[at], at + 1
        end
        batch:forget():apply(db, { lane })
      end
      assert.are.same(want, db)
    end
  end)
end)
