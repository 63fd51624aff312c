-- Every type that PostgreSQL has, through the real connector in all of its
-- settings, into columns as examples/README.md declares them. The source is the model:
-- copies are compared with it column by column.
local bank = require 'bank'
local connect = require 'connect'
local pg = require 'pg'
local tidemill = require 'tidemill'
local types = require 'spec.debezium.types'

-- What the connector is told, and what the pipeline says of it.
local settings = {
  { name = 'plain', says = "decimals = 'precise', times = 'adaptive'" },
  { name = 'schema', has_schema = true, says = '' },
  {
    name = 'micros', decimals = 'string', times = 'adaptive_time_microseconds',
    binary = 'base64',
    says = "decimals = 'string', times = 'adaptive_time_microseconds'",
  },
  {
    name = 'millis', decimals = 'double', times = 'connect', binary = 'hex',
    interval = 'string', hstore = 'map',
    says = "decimals = 'double', times = 'connect', binary = 'hex'",
  },
  {
    name = 'iso', decimals = 'string', times = 'isostring', binary = 'base64-url-safe',
    says = "decimals = 'string', times = 'isostring'",
  },
  {
    name = 'hexed', has_schema = true, decimals = 'double', times = 'microseconds',
    binary = 'hex', says = "binary = 'hex'",
  },
  {
    name = 'nanos', decimals = 'string', times = 'nanoseconds',
    says = "decimals = 'string', times = 'nanoseconds'",
  },
  {
    name = 'rewrite', flattened = 'rewrite',
    says = "decimals = 'precise', times = 'adaptive', flattened = 'rewrite'",
  },
  {
    name = 'tombstone', flattened = 'tombstone', has_schema = true, times = 'connect',
    hstore = 'map',
    says = "flattened = 'tombstone'",
  },
}

local function connector(setting)
  local all = {
    ['table.include.list'] = 'public.everything',
    ['decimal.handling.mode'] = setting.decimals or 'precise',
    ['time.precision.mode'] = setting.times or 'adaptive',
    ['binary.handling.mode'] = setting.binary or 'bytes',
    ['interval.handling.mode'] = setting.interval or 'numeric',
    ['hstore.handling.mode'] = setting.hstore or 'json',
    ['key.converter.schemas.enable'] = tostring(setting.has_schema or false),
    ['value.converter.schemas.enable'] = tostring(setting.has_schema or false),
  }
  if setting.flattened then
    all.transforms = 'unwrap'
    all['transforms.unwrap.type'] = 'io.debezium.transforms.ExtractNewRecordState'
    all['transforms.unwrap.delete.tombstone.handling.mode'] = setting.flattened
  end
  return all
end

local function projection(setting)
  local columns = {}
  for _, c in ipairs(types.of(setting)) do
    columns[#columns + 1] = ("    %s = '%s',"):format(c.name, c.copy)
  end
  return ([[
return projection {
  table = 'copy_%s',
  topics = { '%s.public.everything' },
  mirror = true,
  key = { id = 'bigint' },
  columns = {
%s
  },
}
]]):format(setting.name, setting.name, table.concat(columns, '\n'))
end

local function bundle()
  local files, topics, modules = {}, {}, {}
  for _, s in ipairs(settings) do
    topics[#topics + 1] = ("{ '%s.public.everything', %s },"):format(s.name, s.says)
    modules[#modules + 1] = ("'projections.%s',"):format(s.name)
    files[('projections/%s.lua'):format(s.name)] = projection(s)
  end
  files['pipeline.lua'] = ([[
return pipeline {
  name = 'types',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = 'types',
    format = 'debezium', start = 'earliest', topics = { %s } },
  database = postgres { write = env('DATABASE_URL') },
  dead_letters = { max_share = 1 },
  projections = { %s },
}
]]):format(table.concat(topics, '\n'), table.concat(modules, '\n'))
  return tidemill.bundle(files)
end

local function create(db)
  local columns = {}
  for _, c in ipairs(types.of {}) do columns[#columns + 1] = c.name .. ' ' .. c.source end
  db:rows(([[
    CREATE EXTENSION hstore; CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'very happy');
    CREATE TABLE everything (id bigint PRIMARY KEY, %s);
    ALTER TABLE everything ALTER c_large SET STORAGE EXTERNAL;]]):format(
    table.concat(columns, ', ')))
end

-- A row of NULLs, and then each value of each column in one row at least.
local function insert(db, from)
  local columns, n = types.of {}, 0
  local names = {}
  for i, c in ipairs(columns) do
    names[i], n = c.name, math.max(n, #c.values)
  end
  for row = 0, n do
    local values = {}
    for i, c in ipairs(columns) do
      values[i] = row == 0 and 'NULL' or c.values[(row - 1) % #c.values + 1]
    end
    db:rows(('INSERT INTO everything (id, %s) VALUES (%d, %s)'):format(
      table.concat(names, ', '), from + row, table.concat(values, ', ')))
  end
end

-- Values of one column by row, as text.
local function values_of(db, table_name, name, expression)
  local values = {}
  local query = "SELECT id AS key, coalesce((%s)::text, 'NULL') AS line FROM %s"
  for _, row in ipairs(db:rows(query:format((expression:gsub('%$', name)),
    table_name))) do
    values[row.key] = row.line
  end
  return values
end

-- The rows of odd values have numbers of their own; those of the snapshot too,
-- where only values that have a place are tried.
local ODD, ODD_BEFORE = 2000, 4000

local function insert_odd(db, first, n)
  local from = first == ODD and 0 or types.n_without_place
  for i = from + 1, from + n do
    db:rows(('INSERT INTO everything (id, %s) VALUES (%d, %s)'):format(types.odd[i][1],
      first + i, types.odd[i][2]))
  end
end

-- Why a row is not in the copy, by its number.
local function letters_of(copies, setting)
  local letters = {}
  for _, letter in ipairs(copies:rows(([[
      SELECT convert_from(key, 'UTF8') AS key, message FROM tidemill.dead_letter
      WHERE topic = '%s.public.everything']]):format(setting.name))) do
    letters[letter.key:match '"id":(%d+)'] = letter.message
  end
  return letters
end

local function has_column(setting, name)
  for _, c in ipairs(types.of(setting)) do
    if c.name == name then return true end
  end
end

-- Rows are set aside for odd values alone, and for those that must be.
local function check_letters(letters, setting, all)
  for id, message in pairs(letters) do
    if tonumber(id) < ODD or tonumber(id) > ODD_BEFORE then
      all[#all + 1] = ('%s: %s'):format(id, message)
    end
  end
  for i = 1, types.n_without_place + types.n_with_place do
    local name, value = unpack(types.odd[i])
    local letter = letters[tostring(ODD + i)]
    if i <= types.n_without_place and has_column(setting, name) and not letter then
      all[#all + 1] = ('%s of %s was not set aside'):format(value, name)
    elseif i > types.n_without_place and letter then
      all[#all + 1] = ('%s of %s was set aside: %s'):format(value, name, letter)
    end
  end
end

-- Every column of every row that was not set aside.
local function compare(source, copies, setting)
  local all, letters = {}, letters_of(copies, setting)
  check_letters(letters, setting, all)
  for _, c in ipairs(types.of(setting)) do
    local want = values_of(source, 'everything', c.name, c.source_as)
    for id in pairs(letters) do want[id] = nil end
    local n, text = bank.differences(want,
      values_of(copies, 'copy_' .. setting.name, c.name, c.copy_as))
    if n > 0 then
      all[#all + 1] = ('%s (%s as %s):\n%s'):format(c.name, c.source, c.copy,
        text:sub(1, 600))
    end
  end
  assert(#all == 0, setting.name .. ':\n' .. table.concat(all, '\n'))
end

describe('a column of each type', function()
  local source, copies, run, worker

  lazy_setup(function()
    local url
    url, source = pg.create(tidemill.unique('source'))
    create(source)
    insert(source, 1) -- for the snapshot, which reads by other ways
    insert_odd(source, ODD_BEFORE, types.n_with_place)
    local connectors, folder = {}, bundle()
    for _, s in ipairs(settings) do connectors[s.name] = connector(s) end
    worker = connect.start(url, connectors)
    worker:wait_streaming()
    insert(source, 100)
    insert_odd(source, ODD, #types.odd)
    source:rows [[UPDATE everything SET c_integer = id WHERE id % 3 = 0 AND id < 1000;
      DELETE FROM everything WHERE id % 5 = 0 AND id < 1000;
      UPDATE everything SET id = 3000 WHERE id = 102;
      INSERT INTO everything (id) VALUES (1000)]]
    local copies_url
    copies_url, copies = tidemill.database(folder)
    run = tidemill.start(folder, { env = { DATABASE_URL = copies_url } })
  end)

  lazy_teardown(function()
    if run then run:destroy() end
    worker:destroy()
  end)

  for _, setting in ipairs(settings) do
    local says = setting.says ~= '' and setting.says or 'nothing, for the schema does'
    it(('is copied exactly where the pipeline says: %s'):format(says), function()
      run:wait_for('the last row of ' .. setting.name, 60, function()
        worker:check()
        return copies:value(
          ('SELECT 1 FROM copy_%s WHERE id = 1000'):format(setting.name))
      end)
      compare(source, copies, setting)
    end)
  end
end)
