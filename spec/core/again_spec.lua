-- Memory of a batch: what an attempt takes goes with it, and what the scripts may
-- make has a limit.
local batches = require 'spec.core.batches'
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

local FAILURE = ffi.new('struct err')
local MIB = 2 ^ 20
local KAFKA = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"

local Batch = batches.Batch

-- A row as if loaded, of one text.
local function load_text(b, row, text)
  local r = b.c.rows[0]
  assert(C.rows_put(r, r.loaded, 1, row, core.text(text)) == 0)
  r.base[1][row] = r.view.cells[1][row]
  r.base_flags[row] = C.TM_ROW_LOADED + C.TM_ROW_EXISTS
end

function Batch:load_all(text)
  for row = 0, self.c.rows[0].view.n_rows - 1 do load_text(self, row, text) end
end

function Batch:prepare(lanes)
  self:begin(lanes):decode()
  C.batch_keys(self.c)
  return self
end

local function try_fold(self)
  local ok = C.batch_fold(self.c, FAILURE)
  return ok, C.batch_is_over(self.c)
end

-- What is taken of each arena, and of its last block: a byte that an attempt leaves
-- behind changes it.
function Batch:used()
  local b, out = self.c, {}
  local arenas = { b.memory.arena, b.memory.loaded, b.memory.said, b.memory.scratch }
  for i = 0, b.n_rows - 1 do arenas[#arenas + 1] = b.rows[i].values end
  for i, a in ipairs(arenas) do
    out[i] = ('%d %d %d'):format(tonumber(a.taken), tonumber(a.used), tonumber(a.total_bytes))
  end
  return table.concat(out, ', ')
end

-- All blocks that it holds.
function Batch:held_bytes()
  local b = self.c
  local n = b.memory.arena.total_bytes + b.memory.loaded.total_bytes + b.memory.said.total_bytes +
    b.memory.scratch.total_bytes
  for i = 0, b.n_rows - 1 do n = n + b.rows[i].values.total_bytes end
  return tonumber(n)
end

-- Every way in which a call of a script takes memory: values, what converts, parts
-- of JSON, ids, headers with long names, failures by each projection, layers, rows
-- that are appended or asked for, versions.
local RETRIED = bundles.pipeline([[
  projection { table = 'sums', key = { id = { 'text', from = 'data.id' } },
    columns = { list = 'text', j = 'jsonb', n = 'numeric' },
    on = function(row, event)
      row.list = (row.list or '') .. event.data.x .. event.id
      row.j = event.data:table()
      local _ = row.j
      row.n = decimal '12345678901234567890123456789012345678' + 1
      _ = event.headers[('h'):rep(300)]
      if event.data.bad then error(('a bad record '):rep(20)) end
    end },
  projection { table = 'log', append = true, columns = { x = 'text', k = 'bigint' },
    on = function(row, event) row.x, row.k = event.data.x .. 'y', event.data.k end },
  projection { table = 'newest', map = true, newer = 'v', key = { id = { 'text', from = 'data.id' } },
    columns = { v = 'bigint', a = 'text', b = 'text' },
    on = function(row, event)
      row.v = event.data.x
      if event.data.x % 2 == 0 then row.a = 'a' .. event.data.x else row.b = 'b' end
    end },
  projection { table = 'most', merge = { n = 'max' }, key = { id = { 'text', from = 'data.id' } },
    columns = { n = 'numeric' }, on = function(row, event) row.n = event.data.x end },
  projection {
    tables = {
      accounts = { key = { id = { 'text', from = 'data.id' } }, columns = { list = 'text' } },
      owners = { key = { owner = 'text', bank = 'text' }, columns = { list = 'text' } },
      entries = { append = true, columns = { x = 'text' } },
    },
    batch = function(batch, tables)
      for event, row in tables.accounts:events() do
        row.list = (row.list or '') .. event.data.x
        local o = tables.owners:row('o' .. event.data.id, 'b')
        o.list = (o.list or '') .. event.data.x
        tables.entries:insert { x = event.id }
        if event.data.worse then error('a worse record') end
      end
    end,
  },
]], KAFKA)

describe('a batch that is done again', function()
  local batch
  setup(function() batch = batches.open(RETRIED) end)
  teardown(function() batch:forget():close() end)

  it('takes no more memory after hundreds of retries than after some', function()
    local values = {}
    for i = 1, 40 do
      local fault = i % 9 == 0 and ',"bad":true' or i % 11 == 0 and ',"k":"no number"' or
        i == 25 and ',"worse":true' or ''
      values[i] = ('{"id":"%d","x":%d%s}'):format(i % 7, i, fault)
    end
    local function retry(n)
      for _ = 1, n do
        C.batch_again(batch.c)
        batch:load_all(('loaded '):rep(200))
        for i = 0, batch.c.n_rows - 1 do batch.c.rows[i].n_known = batch.c.rows[i].view.n_rows end
        assert(C.batch_fold(batch.c, FAILURE), ffi.string(FAILURE.text))
      end
      for _ = 1, 20 do C.vm_collect(batch.vm) end -- a step each
      return batch:states(), batch:used(), tonumber(C.vm_bytes(batch.vm))
    end
    batch:prepare { values }
    local n = os.getenv 'SPEC_IS_SLOW' and 10 or 200
    local states, used, in_vm = retry(n)
    local states_later, used_later, in_vm_later = retry(n)
    assert.is_truthy(states:find('F') and states:find('h') and states:find('%.'))
    assert.are.equal(states, states_later)
    assert.are.equal(used, used_later)
    assert(in_vm_later - in_vm < 0.3 * MIB, in_vm_later - in_vm)
  end)

  it('says why its lane halts until it is folded again', function()
    batch:prepare { { '{"id":"1","x":1,"bad":true}' } }
    local b = batch.c
    b.ask = ffi.cast('void (*)(struct batch *, uint32_t)', function(c, event)
      c.failures.letters[event].action, c.failures.letters[event].is_decided = C.ACTION_HALT, true
    end)
    for _ = 1, 3 do
      C.batch_fold(b, FAILURE)
      assert.are.equal(0, batch.leases[0].halt)
      C.batch_again(b)
      for _ = 1, 20 do ffi.fill(C.arena_alloc(b.memory.loaded, 5000), 5000, 0xaa) end
      assert.is_truthy(ffi.string(batch.leases[0].halt_reason):find('a bad record'))
    end
    b.ask:free()
    b.ask = nil
  end)
end)

-- A log in a row, as a pipeline of beginners has it.
local GROWING = bundles.pipeline([[
  projection { table = 'logs', key = { id = { 'text', from = 'data.id' } },
    columns = { log = 'text' },
    on = function(row, event) row.log = (row.log or '') .. event.data.x end },
]], KAFKA)

local function in_bytes(n) return '{"id":"a","x":"' .. ('x'):rep(n) .. '"}' end

local function many(n, value)
  local out = {}
  for i = 1, n do out[i] = value end
  return out
end

local function with(pipeline, each)
  batches.with(pipeline, function(batch)
    batch.c.memory.most_bytes = MIB -- of which 64 MiB may be made
    each(batch)
  end)
end

-- Texts of which each is new.
local LARGE = bundles.pipeline([[
  projection { table = 'logs', append = true, columns = { x = 'text' },
    on = function(row, event) row.x = ('x'):rep(event.data.n) end },
]], KAFKA)

describe('a text that grows in a row', function()
  it('takes memory once, not with each event', function()
    with(GROWING, function(batch)
      local n = core.rounds(2000)
      batch:prepare { many(n, in_bytes(400)) }
      assert.are.same({ true, false }, { try_fold(batch) })
      assert.are.equal(400 * n, batch.c.rows[0].view.cells[1][0].len)
      assert(batch:held_bytes() < 8 * MIB, tostring(batch:held_bytes()))
    end)
  end)

  it('is what the events that did not fail made of it, in each row and column', function()
    with((bundles.pipeline([[
      projection { table = 'logs', key = { id = { 'text', from = 'data.id' } },
        columns = { a = 'text', b = 'text' }, initial = { a = '', b = '' },
        on = function(row, event)
          local d = event.data
          if d.swap then row.a, row.b = row.b, row.a end
          row[d.into] = d.cut and row[d.into]:sub(d.cut) or row[d.into] .. (d.c):rep(d.n)
          if d.gone then row:delete() end
          if d.bad then error('a bad record') end
        end }]], KAFKA):gsub("name = 'x'", "%0, dead_letters = { hold = false, max_share = 1 }")), function(batch)
      math.randomseed(21)
      for _ = 1, core.rounds(30) do
        local values, model = {}, {}
        for i = 1, 120 do
          local id, into = ('abc'):sub(math.random(3)):sub(1, 1), ('ab'):sub(math.random(2)):sub(1, 1)
          local roll = math.random(12)
          local n, c = math.random(0, 3000), string.char(96 + math.random(26))
          local word = roll == 1 and '"swap":true,' or roll == 2 and '"cut":500,' or
            roll == 3 and '"gone":true,' or roll == 4 and '"bad":true,' or ''
          values[i] = ('{"id":"%s",%s"into":"%s","n":%d,"c":"%s","lane":%d}'):format(id, word, into, n, c, i)
          local row = model[id] or { a = '', b = '' }
          if roll ~= 4 then
            model[id] = row
            if roll == 1 then row.a, row.b = row.b, row.a end
            row[into] = roll == 2 and row[into]:sub(500) or row[into] .. c:rep(n)
            if roll == 3 then model[id] = nil end
          end
        end
        batch:forget():begin { values }
        batch:decode()
        C.batch_keys(batch.c)
        assert.are.same({ true, false }, { try_fold(batch) })
        local view, n = batch.c.rows[0].view, 0
        for row = 0, view.n_rows - 1 do
          local want = model[ffi.string(view.cells[0][row].p, 1)]
          assert.are.equal(want ~= nil, bit.band(view.flags[row], C.TM_ROW_EXISTS) ~= 0)
          for column, name in pairs(want and { 'a', 'b' } or {}) do
            local cell = view.cells[column][row]
            assert(ffi.string(cell.p, cell.len) == want[name], 'another text')
            n = n + 1
          end
        end
        assert(n > 0)
      end
    end)
  end)
end)

describe('what the scripts make of a batch', function()
  it('has a limit: the batch is given up and may be done with half of its records', function()
    with(LARGE, function(batch)
      local n, sizes = 2000, {}
      repeat
        batch:prepare { many(n, '{"id":"a","n":100000}') }
        local ok, is_over = try_fold(batch)
        sizes[#sizes + 1] = n
        assert.are.equal(ok, not is_over)
        assert(batch:held_bytes() < 80 * MIB)
        n = math.floor(n / 2)
      until ok
      assert(#sizes > 1 and sizes[#sizes] > 100, table.concat(sizes, ' '))
      assert.are.equal(sizes[#sizes], batch.c.rows[0].view.n_rows)
    end)
  end)

  it('stops at once, not behind the last record', function()
    with(bundles.pipeline([[
      projection { table = 'logs', append = true, columns = { x = 'text' },
        on = function(row, event)
          row.x = ('x'):rep(1000000)
        end }]], KAFKA), function(batch)
      batch:prepare { many(2000, '{"id":"a"}') }
      local _, is_over = try_fold(batch)
      assert.is_true(is_over)
      assert(batch.c.failures.n_stamps < 10, batch.c.failures.n_stamps .. ' records failed')
    end)
  end)

  it('is not what large texts leave behind, which no record is to blame for', function()
    with(bundles.pipeline([[
      projection { table = 'sizes', key = { id = { 'text', from = 'data.id' } },
        columns = { n = 'bigint', text = 'text' },
        on = function(row, event)
          local text = row.text or ('x'):rep(15000000)
          row.n = #(text .. event.data.n)
        end }]], KAFKA), function(batch)
      local records = {}
      for i = 1, 60 do records[i] = ('{"id":"a","n":"%d"}'):format(i) end
      batch:prepare { records }
      local ok, is_over = try_fold(batch)
      assert.are.same({ true, false }, { ok, is_over })
      assert.are.equal(('.'):rep(60), batch:states())
      assert(C.vm_bytes(batch.vm) < 256 * MIB, tonumber(C.vm_bytes(batch.vm)))
    end)
  end)

  it('of one record has the same limit: it fails, at a line', function()
    for call, by in pairs {
      ["row.x = ('x'):rep(1000000)"] = 'pipeline.lua:%d+: logs.x: the handlers make too much',
      ['pcall(function() row.x = ("x"):rep(1000000) end)'] = '^logs: the handlers make too much',
    } do
      with(bundles.pipeline(([[
        projection { table = 'logs', append = true, columns = { x = 'text' },
          on = function(row, event)
            for i = 1, event.data.n do %s end
          end }]]):format(call), KAFKA), function(batch)
        local padding = ('x'):rep(100000)
        batch:prepare { { '{"id":"a","n":2000,"p":"' .. padding .. '"}' } }
        local ok, is_over = try_fold(batch)
        assert.are.same({ true, false }, { ok, is_over })
        assert.are.equal('F', batch:states())
        assert.is_truthy(batch:reason(0):find(by), batch:reason(0))
        assert(batch:held_bytes() < 90 * MIB)
        batch:prepare { { '{"id":"a","n":2}' } }
        assert.is_true((try_fold(batch)))
        assert.are.equal('.', batch:states())
      end)
    end
  end)

  it('counts rows, however few bytes each has, keys, and what batch functions make', function()
    for projection, phase in pairs {
      [ [[{ tables = { rows = { append = true, columns = { x = 'bigint', y = 'bigint' } } },
            batch = function(batch, tables)
              for event in batch:events() do
                for i = 1, 100000 do tables.rows:insert { x = i } end
              end
            end }]] ] = 'fold',
      [ [[{ tables = { rows = { key = { id = 'text' }, columns = { x = 'bigint' } } },
            batch = function(batch, tables)
              for event in batch:events() do
                for i = 1, 100000 do tables.rows:row(event.id .. i) end
              end
            end }]] ] = 'fold',
      [ [[{ tables = { rows = { key = { id = 'text' }, columns = { x = 'text' } } },
            batch = function(batch, tables)
              local all = {}
              for event in batch:events() do
                for i = 1, 10 do all[#all + 1] = ('x'):rep(1000000 + #all) end
              end
            end }]] ] = 'fold',
      [ [[{ table = 'rows', columns = { x = 'bigint' },
            key = { id = { 'text', from = function(event)
              return event.id .. ('x'):rep(1000000)
            end } },
            on = function(row, event) row.x = 1 end }]] ] = 'keys',
    } do
      with(bundles.pipeline('projection ' .. projection, KAFKA), function(batch)
        batch:prepare { many(200, '{"id":"a"}') }
        local is_over = C.batch_is_over(batch.c)
        if phase == 'fold' then
          assert.is_false(is_over)
          is_over = select(2, try_fold(batch))
        end
        assert(is_over, projection)
        assert(batch:held_bytes() < 200 * MIB, tostring(batch:held_bytes()))
      end)
    end
  end)

  it('counts what was loaded too, but lets a record have a row that is larger', function()
    with(GROWING, function(batch)
      batch:prepare { { in_bytes(10), '{"id":"b","x":"x"}' } }
      batch:load_all(('x'):rep(40e6))
      assert.are.same({ false, true }, { try_fold(batch) })
      batch:prepare { { in_bytes(10) } }
      batch:load_all(('x'):rep(80e6))
      assert.are.same({ true, false }, { try_fold(batch) })
      assert.are.equal('.', batch:states())
    end)
  end)

  it('does not count what is read', function()
    with(bundles.pipeline([[
      projection { table = 'logs', key = { id = { 'text', from = 'data.id' } },
        columns = { j = 'jsonb', n = 'bigint' },
        on = function(row, event)
          row.j = event.data
          for i = 1, 2000 do row.n = #row.j end
        end }]], KAFKA), function(batch)
      batch:prepare { { in_bytes(100000) } }
      assert.are.same({ true, false }, { try_fold(batch) })
      assert.are.equal('.', batch:states())
      assert(batch:held_bytes() < 20 * MIB)
    end)
  end)

  it('is heavy from half of the limit on, so that the next batch is no larger', function()
    with(LARGE, function(batch)
      for n, is_heavy in pairs { [250] = false, [400] = true } do
        batch:prepare { many(n, '{"id":"a","n":100000}') }
        assert.is_true((try_fold(batch)))
        assert.are.equal(is_heavy, batch.c.scripts.is_heavy)
      end
    end)
  end)
end)
