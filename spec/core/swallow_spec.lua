-- What a handler meets and no pcall of its own may swallow: every record of a
-- batch is applied, or set aside with a reason.
local batches = require 'spec.core.batches'
local flow = require 'spec.core.flow'
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

local Batch = batches.Batch
local FAILURE = ffi.new('struct err')
local KAFKA = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"

-- Values of a column of a projection, in the order of its rows.
function Batch:column(index, column)
  local r, out = self.c.rows[index], {}
  for row = r.first_row, r.view.n_rows - 1 do
    if bit.band(r.view.flags[row], C.TM_ROW_TOUCHED) ~= 0 then
      out[#out + 1] = tostring(flow.value(r.view.cells[column][row]))
    end
  end
  return table.concat(out, ' ')
end

local SAFE = [[
  local function safe(event)
    local y = 0
    pcall(function() y = event.data.y end)
    return y
  end
]]

local function with_text(text, each)
  batches.with(SAFE .. text, each)
end

local function with(projection, each)
  return with_text(bundles.pipeline(projection, KAFKA), each)
end

-- As transact.c does it: a trial, then runs until no row is missing.
function Batch:apply(lanes)
  self:begin(lanes):decode()
  C.batch_keys(self.c)
  C.batch_try(self.c)
  repeat
    for i = 0, self.c.n_rows - 1 do self.c.rows[i].n_known = self.c.rows[i].view.n_rows end
    assert(C.batch_fold(self.c, FAILURE), ffi.string(FAILURE.text))
  until not self.c.scripts.is_short
  C.batch_set_ends(self.c)
  return self
end

local function good(id, x) return ('{"id":"%s","x":1,"y":%d}'):format(id, x) end
local function broken(id) return ('{"id":"%s","x":1,"y":"\\ud800"}'):format(id) end

local THREE = { { '{"id":"a"}', '{"id":"b","bad":7}', '{"id":"c"}' } }

local HUNGRY = "local t, s = {}, string.rep('x', 1e6) for i = 1, 1e6 do t[i] = s .. i end"

-- The kinds of projection that read the field inside a pcall of theirs.
local KINDS = {
  fold = "projection { table = 'a', key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint' }, initial = { n = 0 },"
    .. ' on = function(row, event) row.n = row.n + safe(event) end }',
  once = "projection { table = 'a', key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint', v = 'bigint' }, "
    .. "once = { v = 'data.x' }, on = function(row, event) row.n = safe(event) end }",
  map = "projection { table = 'a', key = { id = { 'text', from = 'key' } }, columns = { n = 'bigint' },"
    .. ' map = function(row, event) row.n = safe(event) end }',
  newer = "projection { table = 'a', key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint', v = 'bigint' }, newer = 'v',"
    .. ' map = function(row, event) row.n, row.v = safe(event), event.data.x end }',
  append = "projection { table = 'a', append = true, columns = { id = 'text', n = 'bigint' }, on = function(row, event)"
    .. ' row.id, row.n = event.data.id, safe(event) end }',
  merge = "projection { table = 'a', key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint' }, merge = { n = 'sum' },"
    .. ' on = function(row, event) row.n = safe(event) end }',
  ['key function'] = "projection { table = 'a', key = { id = { 'text', from = function(event) return event.data.id .. safe(event) end } },"
    .. " columns = { n = 'bigint' }, on = function(row) row.n = 1 end }",
  ['batch function'] = "projection { tables = { a = { key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint' } } },"
    .. ' batch = function(_, tables) for event, row in tables.a:events() do row.n = safe(event) end end }',
  ['batch function that asks for rows'] = "projection { tables = { a = { key = { id = 'text' }, columns = { n = 'bigint' } } },"
    .. ' batch = function(batch, tables) for event in batch:events() do tables.a:row(event.data.id).n = safe(event) end end }',
}

describe('a pcall of a script', function()
  for kind, text in pairs(KINDS) do
    it('swallows no record that cannot be read: ' .. kind, function()
      with(text, function(batch)
        batch:apply { { good('a', 1), broken('b'), good('c', 3) }, { good('d', 4) } }
        assert.are.equal('.F. .', batch:states())
        assert.are.equal('107 103', batch:ends())
        assert.is_true(batch.c.failures.letters ~= nil and batch:class(1) == C.ERR_DATA, 'no dead letter')
      end)
    end)
  end

  -- One handler a case; what becomes of three records, the second of which has [bad].
  local function fold(body, source)
    return ([[projection { table = 'a', key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint', t = 'timestamp' },
      initial = { n = 0 }, on = function(row, event)
        local is_bad = event.data.bad
        %s
        row.n = row.n + 1
      end }]]):format(body), source
  end
  local CATCHES = {
    nothing = 'if is_bad then %s end',
    pcall = 'if is_bad then pcall(function() %s end) end',
    ['nested pcalls'] = 'if is_bad then pcall(pcall, pcall, function() %s end) end',
    xpcall = 'if is_bad then xpcall(function() %s end, function() return 1 end) end',
    ['a loop of pcalls'] = 'if is_bad then for i = 1, 1e9 do pcall(function() %s end) end end',
    ['the handler of an xpcall'] = 'if is_bad then xpcall(error, function() %s end) end',
    gsub = "if is_bad then pcall(string.gsub, 'x', 'x', function() %s end) end",
    sort = 'if is_bad then pcall(table.sort, { 2, 1 }, function() %s end) end',
  }

  local function is_set_aside(batch, says)
    batch:apply(THREE)
    assert.are.equal('.F.', batch:states())
    assert.are.equal('1 1', batch:column(0, 1))
    assert.is_truthy(batch:reason(1):find(says, 1, true), batch:reason(1))
  end

  -- Among several it may be what all of them left; alone the record is to blame.
  local function is_hungry(batch)
    batch:begin(THREE):decode()
    C.batch_keys(batch.c)
    assert.is_false(not C.batch_is_over(batch.c) and C.batch_fold(batch.c, FAILURE))
    assert.is_true(C.batch_is_over(batch.c))
    batch:apply { { THREE[1][1] } }
    assert.are.equal('.', batch:states())
    batch:apply { { THREE[1][2] } }
    assert.are.equal('F', batch:states())
    assert.is_truthy(batch:reason(0):find('512 MiB', 1, true), batch:reason(0))
  end

  -- All memory takes long where each byte is looked at.
  for name, catch in pairs(os.getenv('SPEC_IS_SLOW') and { pcall = CATCHES.pcall } or CATCHES) do
    it('does not swallow that memory ran out: ' .. name, function()
      with(fold(catch:format(HUNGRY)), is_hungry)
    end)
    it('does not swallow that a view is stale: ' .. name, function()
      local text = "local kept = {}\nreturn pipeline"
      local pipeline = bundles.pipeline(fold('if not is_bad then kept[1] = event end ' .. catch:format('kept[1].data.x = 1')), KAFKA)
      with_text(pipeline:gsub('return pipeline', text), function(batch) is_set_aside(batch, 'stale event') end)
    end)
  end

  it('does not swallow that memory ran out in a batch function', function()
    with([[projection { tables = { a = { key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint' } } },
      batch = function(batch, tables) for event, row in tables.a:events() do
        if event.data.bad then pcall(function() ]] .. HUNGRY .. [[ end) end row.n = 1 end end }]], is_hungry)
  end)

  it('does not swallow that memory ran out in a key function', function()
    with([[projection { table = 'a', key = { id = { 'text', from = function(event)
      if event.data.bad then pcall(function() ]] .. HUNGRY .. [[ end) end return event.data.id end } }, columns = { n = 'bigint' },
      on = function(row) row.n = 1 end }]], is_hungry)
  end)

  it('does not swallow that the pipeline says too little of its topic, which halts the lane', function()
    local text = bundles.pipeline(fold('pcall(function() row.t = is_bad end)'),
      "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium' }")
    with_text(text, function(batch)
      local function row(id, bad) return ('{"before":null,"after":{"id":"%s","bad":%s},"op":"c","source":{}}'):format(id, bad) end
      batch:apply { { row('a', 'null'), row('b', '7'), row('c', 'null') } }
      assert.are.equal('.--', batch:states())
      assert.are.equal(C.ERR_CONFIG, batch:class(1))
    end)
  end)

  it('keeps what it may catch: errors of the script, of values and of keys', function()
    with(fold("if is_bad then for _, x in ipairs { {}, true, decimal '1', event, row, event.data } do pcall(error, x) end "
      .. "pcall(error) pcall(function() row.n = 'no number' end) "
      .. "pcall(function() row.nothing = 1 end) assert(select('#', pcall(unpack, { 1, nil, 3 }, 1, 3)) == 4) "
      .. "assert(select(2, xpcall(function(a) return a end, error, 5)) == 5) "
      .. "assert(select(2, pcall(error, 'said', 0)) == 'said') end"), function(batch)
      batch:apply(THREE)
      assert.are.equal('...', batch:states())
      assert.are.equal('1 1 1', batch:column(0, 1))
    end)
  end)

  it('leaves no half of a row that a batch function inserts', function()
    with([[projection { tables = { a = { append = true, columns = { n = 'bigint', m = 'bigint' } } }, batch = function(batch, tables)
      for event in batch:events() do
        pcall(tables.a.insert, tables.a, { n = 1, m = event.data.bad and 'no number' or 2 })
        pcall(tables.a.insert, tables.a, { n = 3, nothing = event.data.bad })
      end end }]], function(batch)
      batch:apply(THREE)
      assert.are.equal('...', batch:states())
      assert.are.equal('1 3 1 3', batch:column(0, 0))
    end)
  end)

  it('leaves the event to blame as it was, when it catches an error of an inner loop', function()
    with([[projection { tables = { a = { key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint' } } },
      batch = function(batch, tables) for event, row in tables.a:events() do row.n = 1
        pcall(function() for other in batch:events() do if other.data.id == 'c' then error('inner') end end end)
        if event.data.bad then error('outer') end end end }]], function(batch) is_set_aside(batch, 'outer') end)
  end)

  it('assigns nothing in a map where the value is no value of the column', function()
    with([[projection { table = 'a', key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint', v = 'bigint' }, newer = 'v',
      map = function(row, event)
        row.v = event.data.v
        pcall(function() row.n = event.data.n end)
        if row.n ~= nil and type(event.data.n) == 'string' then error('read what another event assigned') end
      end }]], function(batch)
      batch:apply { { '{"id":"a","v":1,"n":5}', '{"id":"a","v":2,"n":"x"}' } }
      assert.are.equal('..', batch:states())
      assert.are.equal('missing', batch:column(0, 1))
    end)
  end)
end)

describe('a batch', function()
  -- Fields with a column, and fields that are looked up since 64 others have one.
  for n, what in pairs { [0] = 'in columns', [70] = 'looked up' } do
    it('fails the records whose handlers ask for what cannot be read, whoever asks first: ' .. what, function()
      with_text(([[local function crowd(event) for i = 1, %d do local _ = event.data['f' .. i], event:has('data.o.f' .. i) end end
        ]]):format(n) .. bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = 'data.id' } }, columns = { n = 'bigint' },
        on = function(row, event) crowd(event) row.n = 1
          local ask = event.data.ask
          if ask then local _ = event.data[ask], event.data.o[ask] end end }]], KAFKA), function(batch)
        local function record(id, ask) return ('{"id":"%s","ask":"%s","y":"\\ud800","o":{"z":"\\ud800","x":1}}'):format(id, ask) end
        for _ = 1, 2 do -- the fields are known behind the first one
          batch:apply { { record('a', 'x'), record('b', 'y'), record('c', 'z'), record('d', 'x') } }
          assert.are.equal('.FF.', batch:states())
          assert.are.equal('1 1', batch:column(0, 1))
          assert.is_true(batch:class(1) == C.ERR_DATA)
          for i, field in ipairs { 'event.data.y', 'event.data.o.z' } do
            local says = ('pipeline%%.lua:%%d+: %s cannot be read: half of a surrogate pair, '):format(field)
            assert.is_truthy(batch:reason(i):find(says), batch:reason(i))
          end
          batch:forget()
        end
      end)
    end)
  end

  it('gives names that come out of the data few columns, and their memory back', function()
    with([[projection { table = 'a', append = true, columns = { n = 'bigint' }, on = function(row, event)
      row.n = event.data.prices[event.data.cur].x end }]], function(batch)
      local function resident()
        collectgarbage() collectgarbage()
        local file = io.open('/proc/self/statm')
        local pages = tonumber(file:read('*a'):match('%d+ (%d+)'))
        file:close()
        return pages * 4096
      end
      local number, after = 0, nil
      for round = 1, core.rounds(50) do
        local lane = {}
        for i = 1, 2000 do
          number = number + 1
          lane[i] = ('{"cur":"c%d","prices":{"c%d":{"x":%d},"d%d":{}}}'):format(number, number, i, number)
        end
        batch:apply { lane }
        assert.are.equal(('.'):rep(2000), batch:states())
        assert.are.equal('1 2 3', batch:column(0, 0):match('^%d+ %d+ %d+'))
        assert.is_true(batch.c.input.view.n_nodes < 200)
        after = after or round >= 10 and resident()
      end
      if not os.getenv 'SPEC_IS_SLOW' then -- valgrind keeps what was freed for a while
        assert.is_true(resident() - after < 64e6, resident() - after)
      end
    end)
  end)

  it('goes on behind a key function that raises for a record that cannot be read and is held', function()
    with([[projection { table = 'a', key = { id = { 'text', from = function(event) return event.data.id .. event.data.x end } },
      columns = { n = 'bigint' }, on = function(row, event) row.n = event.data.y end }]], function(batch)
      local lanes = { { '{"id":"a","x":"\\ud800"}', '{"id":"a","x":"\\ud800"}', good('b', 1) } }
      for _ = 1, 2 do -- the fields are known behind the first one
        batch:apply(lanes)
        assert.are.equal('Fh.', batch:states())
      end
    end)
  end)

  it('blames no healthy record where one that failed before cannot be read either', function()
    with([[projection { table = 'a', key = { id = { 'text', from = function(event)
        return event.data.bad and error('refused') or event.data.id end } }, columns = { n = 'bigint' },
        on = function(row, event) row.n = event.data.y end }]], function(batch)
      batch:apply { { good('a', 1), '{"id":"b","bad":7,"y":"\\ud800"}', good('c', 3) } }
      assert.are.equal('.F.', batch:states())
      assert.are.equal('1 3', batch:column(0, 1))
    end)
  end)

  it('is applied by scripts of the same bundle once memory ran out, though its folder is gone', function()
    local batch = batches.open(bundles.pipeline([[projection { table = 'a', key = { id = { 'text', from = function(event)
      if event.data.bad then ]] .. HUNGRY .. [[ end return event.data.id end } }, columns = { n = 'bigint' }, on = function() end }]], KAFKA))
    batch:begin(THREE):decode()
    C.batch_keys(batch.c)
    assert.is_true(C.batch_is_over(batch.c))
    local lane = {}
    for i = 1, 2000 do lane[i] = '{"id":"a"}' end
    batch:apply { lane, { '{"id":"b","x":"\\ud800"' , '{"id":"b"}' } }
    assert.are.equal(('.'):rep(2000) .. ' Fh', batch:states())
    batch:forget():close()
  end)

  it('is not committed while a record is neither applied nor set aside', function()
    with("projection { table = 'a', append = true, columns = { n = 'bigint' }, on = function(row) row.n = 1 end }", function(batch)
      for _, state in ipairs { C.TM_EVENT_FAILED, C.TM_EVENT_HELD, C.TM_EVENT_CUT } do
        batch:begin({ { '{"x":1}', '{"x":2}' } }):decode()
        C.batch_keys(batch.c)
        batch.c.input.events.states[1] = state
        assert.is_false(C.batch_fold(batch.c, FAILURE))
        assert.are.equal('a fault of Tidemill: the record t/0/104 is neither applied nor set aside, so nothing is committed: '
          .. 'please report it, with the pipeline', ffi.string(FAILURE.text))
        assert.are.equal(C.ERR_FATAL, FAILURE.class)
      end
    end)
  end)
end)
