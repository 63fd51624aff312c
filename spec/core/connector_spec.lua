-- `tidemill connector`, as a user types it: it needs no server.
local json = require 'cjson'

local function shell(command)
  local pipe = assert(io.popen(command .. '; echo status=$?'))
  local text, status = pipe:read('*a'):match('^(.*)status=(%d+)\n$')
  pipe:close()
  return text, tonumber(status)
end

local folder

--- A pipeline whose kafka{} and projection are given as Lua.
local function pipeline(source, projection)
  local file = assert(io.open(folder .. '/pipeline.lua', 'w'))
  file:write(([[
return pipeline {
  name = 'shop',
  source = kafka { brokers = 'b:1', group = 'shop', %s },
  database = postgres { write = 'postgresql://localhost/x' },
  projections = { projection { %s } },
}]]):format(source, projection or [[table = 'balances', key = { id = 'uuid' },
    columns = { owner = 'text' }, on = function(row) row.owner = 'x' end]]))
  file:close()
end

--- What it prints: the JSON, stderr in one line, and the status.
local function connector(arguments)
  local binary = os.getenv('TIDEMILL') or './tidemill'
  local out, status = shell(("'%s' connector %s %s 2>%s/err"):format(binary, folder,
    arguments or '', folder))
  local file = assert(io.open(folder .. '/err'))
  local err = file:read('*a'):gsub('%s+', ' ')
  file:close()
  return status == 0 and json.decode(out) or out, err, status
end

local function config(arguments)
  local one, err, status = connector(arguments)
  assert.equal(0, status, err)
  return one.config, err
end

-- Names of properties of Debezium 3.3's PostgreSQL connector and transforms and of
-- Kafka Connect 4.1, as their own definitions list them; a transform's stand behind
-- transforms.NAME.
local KNOWN = {}
for name in ([[
  connector.class tasks.max key.converter value.converter transforms
  key.converter.schemas.enable value.converter.schemas.enable
  value.converter.replace.null.with.default transforms.unwrap.replace.null.with.default
  topic.creation.default.partitions topic.creation.default.replication.factor
  database.hostname database.port database.user database.password database.dbname
  topic.prefix table.include.list plugin.name slot.name publication.name
  publication.autocreate.mode snapshot.mode skipped.operations tombstones.on.delete
  message.key.columns binary.handling.mode unavailable.value.placeholder decimal.handling.mode time.precision.mode
  transforms.outbox.type transforms.outbox.table.fields.additional.placement
  transforms.outbox.route.topic.replacement transforms.outbox.table.expand.json.payload
  transforms.unwrap.type transforms.unwrap.delete.tombstone.handling.mode
  transforms.unwrap.add.fields
]]):gmatch('%S+') do KNOWN[name] = true end

local function is_known(all)
  for name, value in pairs(all) do
    assert.is_true(KNOWN[name], name)
    assert.equal('string', type(value))
  end
end

local ROWS = [[table = 'copies', mirror = true, key = { id = 'uuid' }, columns = { %s }]]
local STRING = 'org.apache.kafka.connect.storage.StringConverter'

describe('tidemill connector', function()
  setup(function() folder = shell('mktemp -d'):match('%S+') end)
  teardown(function() os.execute('rm -rf ' .. folder) end)

  it('routes an outbox: texts, the type as a header, topics by the aggregate', function()
    pipeline "topics = { 'outbox.event.account', 'outbox.event.order' }, format = 'outbox'"
    local one, err = connector()
    assert.equal('shop-outbox', one.name)
    local all = one.config
    is_known(all)
    assert.equal(STRING, all['key.converter'])
    assert.equal(STRING, all['value.converter'])
    assert.equal('io.debezium.transforms.outbox.EventRouter', all['transforms.outbox.type'])
    assert.equal('type:header:eventType',
      all['transforms.outbox.table.fields.additional.placement'])
    assert.equal('outbox.event.${routedByValue}',
      all['transforms.outbox.route.topic.replacement'])
    assert.equal('false', all['transforms.outbox.table.expand.json.payload'])
    assert.equal('false', all['tombstones.on.delete'])
    assert.equal('public.outbox', all['table.include.list'])
    assert.equal('shop_outbox', all['slot.name'])
    assert.equal('pgoutput', all['plugin.name'])
    assert.equal('filtered', all['publication.autocreate.mode'])
    assert.matches('public%.outbox; %-%-table names another', err)
  end)

  it('takes the name of the header and of the route from the pipeline', function()
    pipeline "topics = { 'account' }, format = 'outbox', type = 'kind'"
    local all = config()
    assert.equal('type:header:kind',
      all['transforms.outbox.table.fields.additional.placement'])
    assert.equal('${routedByValue}', all['transforms.outbox.route.topic.replacement'])
  end)

  it('leaves to the environment what it cannot know, unless it is told', function()
    pipeline "topics = { 'outbox.event.account' }, format = 'outbox'"
    local all = config()
    assert.equal('${env:PGHOST}', all['database.hostname'])
    assert.equal('${env:PGPASSWORD}', all['database.password'])
    assert.equal('-1', all['topic.creation.default.partitions'])
    local said, err = config('--host db --port 5433 --user u --dbname "a\\"b" '
      .. '--password p --table app.events --partitions 6')
    assert.equal('db', said['database.hostname'])
    assert.equal('5433', said['database.port'])
    assert.equal('u', said['database.user'])
    assert.equal('a"b', said['database.dbname'])
    assert.equal('p', said['database.password'])
    assert.equal('app.events', said['table.include.list'])
    assert.equal('6', said['topic.creation.default.partitions'])
    assert.equal('', err)
  end)

  it('captures tables by the names of their topics', function()
    pipeline("topics = { 'eu.srv.public.users', 'eu.srv.sales.orders' }, "
      .. "format = 'debezium'", "topics = { 'eu.srv.public.users' }, " .. ROWS:format "name = 'text'")
    local one, err = connector()
    assert.equal('shop-eu.srv', one.name)
    local all = one.config
    is_known(all)
    assert.equal('eu.srv', all['topic.prefix'])
    assert.equal('public.users,sales.orders', all['table.include.list'])
    assert.equal('shop_eu_srv', all['slot.name'])
    assert.equal('none', all['skipped.operations'])
    assert.is_nil(all.transforms)
    assert.equal('', err)
  end)

  local modes = {
    -- decimals, times, columns -> decimal and time mode, schemas
    { '', '', "name = 'text'", 'precise', 'adaptive', 'false' },
    { '', '', "amount = 'numeric(18,2)'", 'precise', 'adaptive', 'true' },
    { 'string', '', "amount = 'numeric(18,2)'", 'string', 'adaptive', 'false' },
    { 'string', '', "at = 'timestamptz'", 'string', 'adaptive', 'true' },
    { 'double', 'millis', "at = 'timestamptz'", 'double', 'connect', 'false' },
    { 'precise', 'micros', "at = 'timestamp'", 'precise', 'microseconds', 'false' },
    { '', 'nanos', "at = 'timestamp'", 'precise', 'nanoseconds', 'false' },
    { '', 'adaptive', "at = 'timestamp'", 'precise', 'adaptive', 'false' },
    { '', 'isostring', "at = 'timestamp'", 'precise', 'isostring', 'false' },
    { '', 'adaptive_time_microseconds', "at = 'time'", 'precise',
      'adaptive_time_microseconds', 'false' },
  }
  for _, case in ipairs(modes) do
    it(('writes what decimals = %q, times = %q and %s need'):format(case[1], case[2],
      case[3]), function()
      local said = case[1] ~= '' and (", decimals = '%s'"):format(case[1]) or ''
      if case[2] ~= '' then said = said .. (", times = '%s'"):format(case[2]) end
      pipeline("topics = { 'srv.public.users' }, format = 'debezium'" .. said,
        ROWS:format(case[3]))
      local all = config()
      assert.equal(case[4], all['decimal.handling.mode'])
      assert.equal(case[5], all['time.precision.mode'])
      assert.equal(case[6], all['value.converter.schemas.enable'])
      assert.equal(case[6], all['key.converter.schemas.enable'])
    end)
  end

  it('flattens rows where the pipeline says how deletes come', function()
    for said, mode in pairs { rewrite = 'rewrite', tombstone = 'tombstone' } do
      pipeline(("topics = { 'srv.public.users' }, format = 'debezium', flattened = '%s'")
        :format(said))
      local all = config()
      is_known(all)
      assert.equal('unwrap', all.transforms)
      assert.equal('io.debezium.transforms.ExtractNewRecordState',
        all['transforms.unwrap.type'])
      assert.equal(mode, all['transforms.unwrap.delete.tombstone.handling.mode'])
      assert.equal('op,lsn,source.ts_ms', all['transforms.unwrap.add.fields'])
    end
  end)

  it('says what stands for bytes and for values that were left alone', function()
    pipeline("topics = { 'srv.public.users' }, format = 'debezium', binary = 'hex', "
      .. "unavailable = 'same'")
    local all = config()
    is_known(all)
    assert.equal('hex', all['binary.handling.mode'])
    assert.equal('same', all['unavailable.value.placeholder'])
  end)

  it('captures an outbox as it is where its columns are named, keyed by aggregate',
    function()
      pipeline("topics = { 'srv.app.events' }, format = 'outbox', "
        .. "outbox = { table = { key = 'aggregate_id', time = 'at' } }")
      local all, err = config()
      is_known(all)
      assert.equal('', err)
      assert.equal('app.events', all['table.include.list'])
      assert.equal('app.events:aggregate_id', all['message.key.columns'])
      assert.equal('u,d,t', all['skipped.operations'])
      assert.equal('true', all['value.converter.schemas.enable'])
      assert.is_nil(all.transforms)
      -- Or NULLs of columns with a DEFAULT would come as the default.
      assert.equal('false', all['value.converter.replace.null.with.default'])
      pipeline("topics = { 'srv.app.events' }, format = 'outbox', flattened = 'rewrite', "
        .. "times = 'micros', outbox = { table = { time = 'at' } }")
      all = config()
      assert.equal('microseconds', all['time.precision.mode'])
      assert.equal('false', all['value.converter.schemas.enable'])
      assert.equal('unwrap', all.transforms)
      assert.equal('false', all['transforms.unwrap.replace.null.with.default'])
    end)

  it('goes by what each topic says', function()
    pipeline("topics = { 'outbox.event.account', { 'srv.public.users', "
      .. "format = 'debezium', decimals = 'string', times = 'micros' }, "
      .. "{ 'clicks', format = 'json' } }, format = 'outbox'",
      [[table = 'n', key = { id = { 'text', from = 'key' } }, columns = { n = 'numeric' },
        on = function(row) row.n = 1 end]])
    local list, err = connector()
    assert.equal('shop-outbox', list[1].name)
    assert.equal('shop-srv', list[2].name)
    assert.equal('string', list[2].config['decimal.handling.mode'])
    assert.equal('false', list[2].config['value.converter.schemas.enable'])
    assert.matches('clicks: format json needs no connector', err)
  end)

  it('says when one connector would have to write in two ways', function()
    pipeline("topics = { { 'srv.public.users', decimals = 'string' }, "
      .. "{ 'srv.public.orders', decimals = 'precise' } }, format = 'debezium'")
    local list, err = connector()
    assert.equal(2, #list)
    assert.matches('the topics srv%.%* are read in different ways', err)
  end)

  for start, mode in pairs { earliest = 'initial', latest = 'no_data', group = 'initial' } do
    it(('snapshots %s when start is %s'):format(mode, start), function()
      pipeline(("topics = { 'a.b.c' }, format = 'debezium', start = '%s'"):format(start))
      assert.equal(mode, config()['snapshot.mode'])
    end)
  end

  it('prints a list for several sources, and one of them by its name', function()
    pipeline "topics = { 'outbox.event.account', 'billing.invoice' }, format = 'outbox'"
    local list, err, status = connector()
    assert.equal(0, status)
    assert.equal(2, #list)
    assert.equal('shop-outbox', list[1].name)
    assert.equal('shop-outbox-2', list[2].name)
    assert.not_equal(list[1].config['slot.name'], list[2].config['slot.name'])
    assert.matches('2 connectors are needed', err)
    assert.matches('tidemill connector %S+ shop%-outbox%-2', err)
    local one = connector('shop-outbox-2')
    assert.equal('billing.${routedByValue}',
      one.config['transforms.outbox.route.topic.replacement'])
    local _, refused, code = connector('shop-outbx')
    assert.equal(66, code)
    assert.matches("no connector 'shop%-outbx' is needed, but shop%-outbox, ", refused)
  end)

  it('says what is to be set by hand for other names of topics', function()
    pipeline "topics = { 'users' }, format = 'debezium'"
    local out, err, status = connector()
    assert.equal(66, status)
    assert.equal('', out)
    assert.matches('users: not named PREFIX.SCHEMA.TABLE', err)
    assert.matches('topic.prefix and table.include.list by hand', err)
  end)

  it('needs none for plain JSON', function()
    pipeline "topics = { 'clicks' }, format = 'json'"
    local out, err, status = connector()
    assert.equal(66, status)
    assert.equal('', out)
    assert.matches('clicks: format json needs no connector', err)
  end)

  it('names the tables whose deletes need REPLICA IDENTITY FULL', function()
    pipeline("topics = { 'srv.public.users' }, format = 'debezium'",
      [[table = 'seats', key = { owner = { 'text', from = 'data.owner' } },
        columns = { n = 'bigint' }, on = function(row) row.n = 1 end]])
    local _, err = config()
    assert.matches('ALTER TABLE public.users REPLICA IDENTITY FULL', err)
  end)
end)
