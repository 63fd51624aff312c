-- Tables of any number of columns, of which each record says some: rows are those of a
-- model, however records are cut into batches, and each set of columns that rows have is
-- one statement.
local flow = require 'spec.core.flow'
local bundles = require 'spec.unit.bundles'
local bit = require 'bit'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/table/writer.h', 'model/columns.h', 'postgres/sql/sql.h')

-- With the key; around the words of 64 columns, and the most that PostgreSQL has.
local WIDTHS = { 2, 64, 65, 66, 129, 1000, 1600 }

local SOURCE = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = '%s' }"
local ASSIGN = 'function(row, event) for n, v in pairs(event.data.values) do row[n] = v end end'

local function name_of(i) return ('c%04d'):format(i) end

local function columns(width, type)
  local list = {}
  for i = 1, width - 1 do list[i] = name_of(i) .. " = '" .. type .. "'" end
  return table.concat(list, ', ')
end

local function sums(width)
  local list = {}
  for i = 1, width - 1 do list[i] = name_of(i) .. " = 'sum'" end
  return table.concat(list, ', ')
end

local KINDS = {
  fold = { words = 'on = ' .. ASSIGN },
  map = { words = 'map = ' .. ASSIGN },
  ['map with newer'] = { words = "newer = 'c0001', map = " .. ASSIGN, newer = true },
  ['mirror with newer'] = { words = "mirror = true, newer = 'c0001'", newer = true },
  merge = { words = 'merge = { %s }, on = ' .. ASSIGN, sums = true },
}

local function bundle(kind, width)
  local words = kind.sums and kind.words:format(sums(width)) or kind.words
  return bundles.load(bundles.pipeline(("projection { table = 'w', key = { id = 'text' }, columns = { %s }, %s }")
    :format(columns(width, 'bigint'), words), SOURCE:format(words:find 'mirror' and 'debezium' or 'json')))
end

-- Often the same columns as another record has, seldom all or only one.
local function random_values(width, sets, with_version)
  local set = sets[math.random(4)]
  if not set then
    set = {}
    local share = math.random()
    for i = 1, width - 1 do set[i] = math.random() < share end
    set[math.random(width - 1)] = true
    sets[#sets + 1] = set
  end
  local values = {}
  for i = 1, width - 1 do
    if set[i] or with_version and i == 1 then values[name_of(i)] = math.random(99) end
  end
  return values
end

local function record(kind, id, values)
  if kind.words:find 'mirror' then
    local row = { id = id }
    for n, v in pairs(values) do row[n] = v end
    return { key = id, op = 'u', after = row }
  end
  return { key = id, data = { id = id, values = values } }
end

local function apply(kind, rows, id, values)
  local row = rows[id] or { id = id }
  if kind.newer and row.c0001 and values.c0001 <= row.c0001 then return end
  for n, v in pairs(values) do row[n] = kind.sums and (row[n] or 0) + v or v end
  rows[id] = row
end

local function sorted(rows)
  local list = {}
  for _, row in pairs(rows) do list[#list + 1] = row end
  table.sort(list, function(x, y) return x.id < y.id end)
  return list
end

for name, kind in pairs(KINDS) do
  describe('a ' .. name, function()
    for _, width in ipairs(WIDTHS) do
      it(('of %d columns leaves the rows of a model for any of them in any batches'):format(width), function()
        math.randomseed(width)
        local b = bundle(kind, width)
        for _ = 1, width > 500 and 1 or core.rounds(10) do
          local model, events, sets, result = {}, {}, {}, nil
          for i = 1, math.random(8, 24) do
            local id, values = 'k' .. math.random(3), random_values(width, sets, kind.newer)
            events[i] = record(kind, id, values)
            apply(kind, model, id, values)
          end
          local at = 1
          b:reset()
          while at <= #events do
            local size = math.random(9)
            result = b:run { events = { unpack(events, at, math.min(#events, at + size - 1)) } }
            at = at + size
          end
          assert.are.same(sorted(model), result:rows('w'))
        end
      end)
    end
  end)
end

-- A connection that is gone counts what is queued, and sends nothing.
local function with_gone_connection(fn)
  local loop = ffi.gc(C.loop_new(), C.loop_free)
  local target = ffi.new('struct pgtarget', { conninfo = 'no such thing', application_name = 'spec' })
  local on_state = ffi.cast('pgconn_state_fn', function() C.loop_stop(loop) end)
  local conn = C.pgconn_open(loop, target, on_state, nil)
  C.loop_run(loop)
  fn(conn)
  C.pgconn_free(conn)
  on_state:free()
  assert(target)
end

describe('statements of appended rows', function()
  for _, width in ipairs(WIDTHS) do
    it(('of %d columns are as many as there are sets of columns'):format(width), function()
      math.randomseed(width)
      local t = flow.trial(("table = 'w', append = true, columns = { %s }, on = %s"):format(columns(width, 'bigint'), ASSIGN))
      local records, sets, seen, n_sets = {}, {}, {}, 0
      for i = 1, 40 do
        local values, names, fields = random_values(width, sets), {}, {}
        for n, v in pairs(values) do
          names[#names + 1], fields[#fields + 1] = n, ('"%s":%d'):format(n, v)
        end
        table.sort(names)
        local set = table.concat(names, ' ')
        n_sets = n_sets + (seen[set] and 0 or 1)
        seen[set] = true
        records[i] = { 'k', ('{"values":{%s}}'):format(table.concat(fields, ',')) }
      end
      assert(t:rows(records))
      t:fold()
      with_gone_connection(function(conn)
        local w = ffi.new('struct writer')
        C.writer_begin(w)
        C.writer_write(w, t.c_rows, 1, conn)
        assert.are.same({ n_sets, 40 }, { t.c_rows.n_answers, w.n_written })
      end)
    end)
  end
end)

describe('the texts of statements', function()
  it('are kept up to 4 MiB for each table, and the last one always', function()
    local t = flow.trial(("table = 'w', key = { id = 'text' }, columns = { %s }, map = %s"):format(columns(1600, 'bigint'), ASSIGN))
    assert(t:rows { { 'k', '{"id":"k","values":{}}' } })
    local g = t.c_rows.program
    local set = ffi.new('uint64_t[?]', C.PLAN_COLUMN_WORDS)
    for i = 1, 100 do
      local n = 0
      ffi.fill(set, ffi.sizeof(set))
      for column = 1, 1599 do
        if column % 101 ~= i then
          set[math.floor(column / 64)] = bit.bor(set[math.floor(column / 64)], bit.lshift(1ULL, column % 64))
          n = n + 1
        end
      end
      local text = ffi.string(C.program_stmt(g, C.STATEMENT_UPSERT, set))
      assert.are.equal(n, select(2, text:gsub('::int8%[%]', '')))
      assert.is_true(g.n_cached >= 1 and g.cached_bytes <= C.PROGRAM_TEXT_BYTES)
    end
    assert.is_true(g.n_cached < 60)
  end)
end)
