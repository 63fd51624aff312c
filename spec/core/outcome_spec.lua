-- Random handlers over random records in random batches: every record is applied, or
-- set aside, or held, as a model says, and the rows are those of what was applied.
local batches = require 'spec.core.batches'
local flow = require 'spec.core.flow'
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

local Batch = batches.Batch
local FAILURE = ffi.new('struct err')
local random = math.random
local FIELDS = { 'f1', 'f2', 'f3', 'f4', 'g' }
-- Values as a record has them; half a surrogate pair is JSON that cannot be read.
local BROKEN, TEXT, NULL = [["\ud800"]], '"t"', 'null'

local function pick(list) return list[random(#list)] end

-- ---- handlers: steps as text, and what they mean ---------------------------

-- What reading a value gives; [2]: 'broken' when the record cannot be read.
local function read(v)
  if v == BROKEN then return nil, 'broken' end
  if v == nil or v == NULL then return nil end
  return v == TEXT and 't' or tonumber(v)
end

local function of_object(record, field, whole)
  local o = record.o
  if not o then return nil, 'raised' end
  if whole and (o.a == BROKEN or o.b == BROKEN) then return nil, 'broken' end
  return read(o[field])
end

-- Each: the text of a statement that may set v, and what it does.
local STEPS = {
  function()
    local f = pick(FIELDS)
    return 'v = event.data.' .. f, function(record) return read(record[f]) end
  end,
  function()
    local f = pick { 'a', 'b' }
    return 'v = event.data.o.' .. f, function(record) return of_object(record, f) end
  end,
  function()
    local f = pick { 'a', 'b' }
    return 'v = event.data.o:table().' .. f, function(record) return of_object(record, f, true) end
  end,
  function()
    local f = pick(FIELDS)
    return ("v = event:has('data.%s') and 1 or 2"):format(f), function(record)
      if record[f] == BROKEN then return nil, 'broken' end
      return record[f] and 1 or 2
    end
  end,
  function()
    local f = pick(FIELDS)
    return ('if event.data.%s == 3 then error(%s) end'):format(f, pick { "'three'", 'nil', '{}', 'event', "decimal '3'" }), function(record)
      local v, wrong = read(record[f])
      return nil, wrong or v == 3 and 'raised' or nil
    end
  end,
}
local function assign()
  local f = pick(FIELDS)
  return 'row.x = event.data.' .. f, function(record, row)
    local v, wrong = read(record[f])
    if wrong or v == 't' then return nil, wrong or 'raised' end
    row.x = v or NULL
  end
end

local WRAPS = {
  '%s', '%s', 'pcall(function() %s end)', 'pcall(pcall, function() %s end)',
  'xpcall(function() %s end, function(e) return e end)', "xpcall(function() %s end, function() error('again') end)",
  "string.gsub('x', 'x', function() %s end)",
}
local RAISES = { [WRAPS[1]] = true, [WRAPS[7]] = true }

-- The body of a handler, which leaves its sum; and what that is: the sum, or nil
-- when the record fails. [row] takes what is assigned.
local function new_handler(has_row)
  local texts, meanings = { 'local sum, v = 0, nil' }, {}
  for i = 1, random(0, 4) do
    local text, means = (has_row and random(4) == 1 and assign or pick(STEPS))()
    local wrap = pick(WRAPS)
    texts[#texts + 1] = 'v = nil ' .. wrap:format(text) .. " if type(v) == 'number' then sum = sum + v end"
    meanings[i] = function(record, row)
      local v, wrong = means(record, row)
      if wrong == 'broken' or wrong and RAISES[wrap] then return nil end
      return type(v) == 'number' and v or 0
    end
  end
  return table.concat(texts, '\n'), function(record, row)
    local sum = 0
    for _, meaning in ipairs(meanings) do
      local v = meaning(record, row)
      if not v then return nil end
      sum = sum + v
    end
    return sum
  end
end

-- ---- a pipeline of all kinds, and its model --------------------------------

local FOLD, BY_FUNCTION, MAP, MIRROR, LOG, MERGE, ACCOUNTS, ENTRIES, TOTALS = 0, 1, 2, 3, 4, 5, 6, 7, 8
local KEEPS = { FOLD, BY_FUNCTION, ACCOUNTS, TOTALS }

local PIPELINE = bundles.pipeline([[
  projection { table = 'folds', key = { id = { 'text', from = 'key' } }, columns = { s = 'bigint', x = 'bigint' }, initial = { s = 0 },
    on = function(row, event) @1 row.s = row.s + sum end },
  projection { table = 'by_function', key = { id = { 'text', from = function(event) @2 return 'k' .. sum end } },
    columns = { s = 'bigint', x = 'bigint' }, initial = { s = 0 }, on = function(row) row.s = row.s + 1 end },
  projection { table = 'maps', key = { id = { 'text', from = 'key' } }, columns = { s = 'bigint', x = 'bigint' },
    map = function(row, event) @3 row.s = sum end },
  projection { table = 'mirrors', mirror = true, key = { id = 'text' }, columns = { g = 'bigint' } },
  projection { table = 'log', append = true, columns = { s = 'bigint', x = 'bigint' },
    on = function(row, event) @4 row.s = sum end },
  projection { table = 'merged', key = { id = { 'text', from = 'data.id' } }, columns = { s = 'bigint', x = 'bigint' },
    merge = { s = 'sum', x = 'max' }, on = function(row, event) @5 row.s = sum end },
  projection { tables = {
      accounts = { key = { id = { 'text', from = 'data.id' } }, columns = { s = 'bigint', x = 'bigint' }, initial = { s = 0 } },
      entries = { append = true, columns = { s = 'bigint' } },
      totals = { key = { k = 'text' }, columns = { s = 'bigint', x = 'bigint' }, initial = { s = 0 } },
    },
    batch = function(batch, tables)
      for event, row in tables.accounts:events() do
        @6
        row.s = row.s + sum
        tables.entries:add().s = sum
        local total = tables.totals:row('t' .. sum % 3)
        total.s = total.s + sum
      end
    end },
]], "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium' }")

local function new_case()
  local handlers, text = {}, PIPELINE:gsub("name = 'x'", "name = 'x', dead_letters = { max_share = 1 }")
  for i = 1, 6 do
    local body, means = new_handler(i ~= 2)
    handlers[i] = means
    text = text:gsub('@' .. i, function() return body end)
  end
  return text, handlers
end

local function new_value()
  local n = random(100)
  return n <= 2 and BROKEN or n <= 6 and TEXT or n <= 12 and NULL or n <= 25 and nil or tostring(random(0, 9))
end

local function members(record, names)
  local parts = {}
  for _, name in ipairs(names) do
    if record[name] then parts[#parts + 1] = ('"%s":%s'):format(name, record[name]) end
  end
  return table.concat(parts, ',')
end

local function new_record()
  local record = { id = pick { 'a', 'b', 'c', 'd' } }
  for _, field in ipairs(FIELDS) do record[field] = new_value() end
  if random(4) > 1 then record.o = { a = new_value(), b = new_value() } end
  local after = ('"id":"%s"'):format(record.id)
  for _, part in ipairs { members(record, FIELDS), record.o and '"o":{' .. members(record.o, { 'a', 'b' }) .. '}' or '' } do
    if part ~= '' then after = after .. ',' .. part end
  end
  record.text = ('{"before":null,"after":{%s},"op":"%s","source":{}}'):format(after, pick { 'c', 'u' })
  return record
end

-- What each handler makes of a record; nil: it fails.
local function judge(handlers, record)
  local made = {}
  if record.g == BROKEN or record.g == TEXT then return nil end -- the mirror
  for i, means in ipairs(handlers) do
    made[i] = { x = nil }
    made[i].s = means(record, made[i])
    if not made[i].s then return nil end
  end
  return made
end

local function row_of(db, table_number, key)
  db[table_number][key] = db[table_number][key] or { s = 0 }
  return db[table_number][key]
end

local function add(row, made)
  row.s = row.s + made.s
  if made.x then row.x = made.x end
end

local function overwrite(row, made)
  for name, v in pairs(made) do row[name] = v end
end

local function apply(db, record, made)
  add(row_of(db, FOLD, record.id), made[1])
  add(row_of(db, BY_FUNCTION, 'k' .. made[2].s), { s = 1 })
  overwrite(row_of(db, MAP, record.id), made[3])
  local mirrored = row_of(db, MIRROR, record.id)
  mirrored.s = record.g or mirrored.s -- the one column
  table.insert(db[LOG], made[4])
  local merged = row_of(db, MERGE, record.id)
  merged.s = merged.s + made[5].s
  if made[5].x and made[5].x ~= NULL then merged.x = math.max(merged.x or -1, made[5].x) end
  add(row_of(db, ACCOUNTS, record.id), made[6])
  table.insert(db[ENTRIES], { s = made[6].s })
  add(row_of(db, TOTALS, 't' .. made[6].s % 3), { s = made[6].s })
end

-- ---- the program's half ----------------------------------------------------

local function plain(cell)
  local v = flow.value(cell)
  if v == 'missing' then return nil end
  return v == 'null' and NULL or v
end

-- What the statements that write would leave, of what a batch made.
local function store(batch, db)
  for number = 0, batch.c.n_rows - 1 do
    local r = batch.c.rows[number]
    for row = r.first_row, r.view.n_rows - 1 do
      if bit.band(r.view.flags[row], C.TM_ROW_TOUCHED) ~= 0 then
        local is_added = number == LOG or number == ENTRIES
        local at = is_added and 0 or 1
        local made = { s = plain(r.view.cells[at][row]), x = r.view.n_columns > at + 1 and plain(r.view.cells[at + 1][row]) or nil }
        if is_added then
          table.insert(db[number], made)
        elseif number == MERGE then
          local into = row_of(db, MERGE, flow.value(r.view.cells[0][row]))
          into.s = into.s + (tonumber(made.s) or 0)
          if tonumber(made.x) then into.x = math.max(into.x or -1, made.x) end
        else
          overwrite(row_of(db, number, flow.value(r.view.cells[0][row])), made)
        end
      end
    end
  end
end

local function cell_of(v)
  if v == nil then return core.missing() end
  return v == NULL and core.null() or core.int(v)
end

local function load(batch, db)
  for _, number in ipairs(KEEPS) do
    local r = batch.c.rows[number]
    C.rows_unload(r)
    r.n_known = r.view.n_rows
    for row = 0, r.view.n_rows - 1 do
      local known = db[number][flow.value(r.view.cells[0][row])]
      if known then
        r.base_flags[row] = C.TM_ROW_LOADED + C.TM_ROW_EXISTS
        r.base[1][row], r.base[2][row] = cell_of(known.s), cell_of(known.x or NULL)
      end
    end
  end
end

-- As transact.c does it.
function Batch:apply(db, lanes)
  self:begin(lanes):decode()
  C.batch_keys(self.c)
  C.batch_try(self.c)
  local n_short = 0
  repeat
    load(self, db)
    assert(C.batch_fold(self.c, FAILURE), ffi.string(FAILURE.text))
    n_short = n_short + 1
    assert(n_short < 20, 'it asks for more and more')
  until not self.c.scripts.is_short
  C.batch_set_ends(self.c)
  store(self, db)
end

local function new_db()
  local db = {}
  for number = FOLD, TOTALS do db[number] = {} end
  return db
end

-- Rows by table, key and column, as text: a column that holds nothing is as NULL.
local function text_of(db)
  local lines = {}
  for number, rows in pairs(db) do
    for key, row in pairs(rows) do
      lines[#lines + 1] = ('%d %s %s %s'):format(number, key, tostring(row.s), tostring(row.x or NULL))
    end
  end
  table.sort(lines)
  return table.concat(lines, '\n')
end

-- Records of one key are in one lane, in order.
local LANE_OF = { a = 1, b = 2, c = 1, d = 2 }

local function run_case(batch, handlers, n_batches)
  local db, model = new_db(), new_db()
  for _ = 1, n_batches do
    local lanes, expected = { {}, {} }, { '', '' }
    local failed = {}
    for _ = 1, random(1, 12) do
      local record = new_record()
      local lane = LANE_OF[record.id]
      table.insert(lanes[lane], record)
    end
    for n, lane in ipairs(lanes) do
      for i, record in ipairs(lane) do
        local made = judge(handlers, record)
        local state = failed[record.id] and 'h' or not made and 'F' or '.'
        failed[record.id] = failed[record.id] or state == 'F'
        expected[n] = expected[n] .. state
        if state == '.' then apply(model, record, made) end
        lane[i] = record.text
      end
    end
    batch:forget():apply(db, lanes)
    assert.are.equal(table.concat(expected, ' '), batch:states())
    assert.are.equal(text_of(model), text_of(db))
  end
end

describe('random handlers', function()
  local seed = tonumber(os.getenv('SEED')) or 20261129
  for case = 1, core.rounds(60) do
    it(('leave no record without an outcome: SEED=%d'):format(seed + case), function()
      math.randomseed(seed + case)
      local text, handlers = new_case()
      batches.with(text, function(batch)
        local ok, reason = pcall(run_case, batch, handlers, 4)
        if not ok then error(text .. '\n' .. tostring(type(reason) == 'table' and reason.message or reason), 0) end
      end)
    end)
  end
end)
