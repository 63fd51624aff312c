local bundles = require 'spec.unit.bundles'

local KAFKA = "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'outbox' }"
local FOLD = "projection { table = 'a', key = { id = 'bigint' }, columns = { n = 'bigint' }, on = { X = function() end } }"

-- One of the messages begins "pipeline.lua:" with the line.
local function refused(name, text, line, message)
  it(name, function()
    local said = bundles.refusal(text)
    assert.is_truthy(said, 'it was not refused')
    local expected = ('\npipeline.lua:%d: %s'):format(line, message)
    assert.is_truthy(('\n' .. said):find(expected, 1, true), said)
  end)
end

-- One projection whose text begins in line 4, with the parts of a good one.
local function projection(name, text, line, message)
  refused(name, bundles.pipeline('projection {\n' .. text .. '\n}'), line, message)
end

describe('check.pipeline', function()
  refused('names the nearest key', ('return pipeline {\n name = "x",\n sorce = %s,\n}'):format(KAFKA), 3,
    "pipeline 'x': unknown key 'sorce': did you mean 'source'?")
  refused('says that a key is missing', 'return pipeline {}', 1, "pipeline: 'database' is missing: write database = postgres { … }")
  refused('wants kafka { } as source', 'return pipeline { name = "x",\n source = { brokers = "b" } }', 2,
    "pipeline 'x': 'source' must be kafka { … }, not a table")
  refused('wants postgres { } as database', ('return pipeline { name = "x", source = %s,\n database = "url",\n projections = {} }'):format(KAFKA), 2,
    "pipeline 'x': 'database' must be postgres { … }, not a text")
  refused('sees a key of another word', 'return pipeline { name = "x",\n brokers = "b" }', 2,
    "pipeline 'x': unknown key 'brokers': it belongs into kafka { … }")
  refused('refuses an empty list of projections', bundles.pipeline(''), 3, "pipeline 'x': 'projections' must be a list with at least one entry")
  refused('refuses a number out of range', bundles.pipeline(FOLD):gsub("name = 'x'", "name = 'x',\nbatch = { concurrency = 9 }"), 4,
    "pipeline 'x': 'concurrency' must be a whole number from 1 to 8, not 9")
  refused('refuses an unknown limit', bundles.pipeline(FOLD):gsub("name = 'x'", "name = 'x',\nbatch = { sise = 9 }"), 4,
    "pipeline 'x': unknown key 'sise': did you mean 'size'?")
  refused('says what is not available yet', bundles.pipeline(FOLD):gsub("name = 'x'", "name = 'x',\ntuning = rule 'auto' { target_ms = 50 }"), 4,
    "pipeline 'x': tuning is not available yet")
  refused('refuses lazy durability', bundles.pipeline(FOLD):gsub("name = 'x'", "name = 'x',\ndurability = 'lazy'"), 4,
    "pipeline 'x': durability = 'lazy' is not available yet")
  refused('refuses commands', bundles.pipeline(FOLD):gsub("name = 'x'", "name = 'x',\ncommands = { 'c' }"), 4,
    "pipeline 'x': commands is not available yet")
  refused('takes no list item for a key', bundles.pipeline("projection { 'balances' }"), 4,
    "projection: projection has keys with names: write name = value, not a list")
  refused('wants the file to return a pipeline', 'return { name = "x" }', 1, 'the file must return pipeline { … }')
  refused('names the line of a syntax error', 'return pipeline {\n name = \n}', 3, "unexpected symbol near '}'")
  refused('names a variable that is not set', "local x = 1\nlocal url = env('TIDEMILL_NOT_SET')\nreturn url", 2,
    'the environment variable TIDEMILL_NOT_SET is not set')
  refused('names a secret that cannot be read', "local url = file('/nowhere/secret')\nreturn url", 1,
    "file('/nowhere/secret') cannot be used: No such file or directory")
end)

describe('check.type', function()
  local function type_of(word, message)
    projection('says what to declare for ' .. word, ("table = 'a', key = { id = 'bigint' }, mirror = true, columns = { x = '%s' }"):format(word), 5,
      ("projection 'a': column 'x': unknown type '%s': %s"):format(word, message))
  end
  type_of('interval', "declare 'bigint' (microseconds), or 'text' (with interval.handling.mode=string), which is cast")
  type_of('time with time zone', "declare 'time' (in UTC), or 'text', which is cast to the type of the table's column")
  type_of('bit(8)', "declare 'boolean' for one bit")
  type_of('CITEXT', "declare 'text'")
  type_of('polygon', "declare 'jsonb'")
  type_of('numerik', "did you mean 'numeric'?")
end)

describe('check.kafka', function()
  local function source(name, text, message)
    refused(name, bundles.pipeline(FOLD, text), 1, message)
  end
  source('wants a known format', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debesium' }",
    "kafka: format = 'debesium': did you mean 'debezium'?")
  source('knows formats that come later', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'avro' }",
    "kafka: format = 'avro' is not available yet")
  local function topics(name, text, message)
    source(name, "kafka { brokers = 'b', group = 'g', topics = " .. text .. ' }', 'kafka: ' .. message)
  end
  topics('wants a format for every topic', "{ { 'd', format = 'debezium' }, 'u' }", "'format' is missing: write format = 'outbox'")
  topics('checks the settings of an entry', "{ { 'd', format = 'debezium', decimls = 'string' } }", "unknown key 'decimls': did you mean 'decimals'?")
  topics('checks the words of an entry', "{ { 'd', format = 'debezium', decimals = 'strings' } }", "decimals = 'strings': did you mean 'string'?")
  topics('refuses a setting that has no use for its format', "{ { 'd', format = 'json', decimals = 'string' } }",
    "'decimals' is for the format debezium")
  topics('refuses a setting that has no use for any topic',
    "{ { 'd', format = 'json' } }, decimals = 'string'", "'decimals' is for the format debezium")
  topics('refuses a topic that is named twice', "{ 'd', { 'd', format = 'json' } }, format = 'debezium'", "'topics' names 'd' twice")
  topics('wants names in an entry', "{ { format = 'json' } }", "'topics' is an empty list")
  topics('wants names or entries', "{ 7 }, format = 'json'", "'topics' must be a list of texts, or of tables of texts")
  it('says what is wrong for several topics once', function()
    local said = bundles.refusal(bundles.pipeline(FOLD, "kafka { brokers = 'b', group = 'g', topics = { 't', 'u' }, format = 'json', type = 'x' }"))
    assert.are.equal(1, select(2, said:gsub('must be a path into the record', '')))
  end)
  source('wants topics', "kafka { brokers = 'b', group = 'g', format = 'json' }", "kafka: 'topics' is missing: write topics = { 'name' }")
  source('refuses a topic twice', "kafka { brokers = 'b', group = 'g', topics = { 't', 't' }, format = 'json' }", "kafka: 'topics' names 't' twice")
  source('refuses an unknown start', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json', start = 'earlyest' }",
    "kafka: start = 'earlyest': did you mean 'earliest'?")
  source('reserves properties', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json', options = { ['group.id'] = 'h' } }",
    "kafka: the property 'group.id' is reserved: write group = …")
  source('wants a placeholder without quotes', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium', "
    .. "unavailable = 'a\"b' }", "kafka: unavailable = 'a\"b' must be letters, digits and signs")
  source('knows the modes of times', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium', times = 'adaptiv' }",
    "kafka: times = 'adaptiv': did you mean 'adaptive'?")
  source('knows the ways of bytes', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium', binary = 'hexa' }",
    "kafka: binary = 'hexa': did you mean 'hex'?")
  local function raw(name, more, message)
    source(name, "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'outbox', " .. more .. ' }', 'kafka: ' .. message)
  end
  raw('wants the columns of an outbox table in a table', "outbox = { id = 'id' }", "unknown key 'id'")
  raw('knows the columns of an outbox table', "outbox = { table = { keys = 'x' } }", "unknown key 'keys': did you mean 'key'?")
  raw('wants columns as texts', 'outbox = { table = { key = 1 } }', "'key' must be a text, not a number")
  raw('wants a table', "outbox = 'outbox'", "'outbox' must be a table, not a text: write outbox = { table = { … } }")
  raw('wants no header of rows that have none', "outbox = { table = {} }, type = 'kind'", "'type' is a header, and rows of an outbox table have none")
  raw('knows the ways of flattening', "outbox = { table = {} }, flattened = 'rewrit'", "flattened = 'rewrit': did you mean 'rewrite'?")
  raw('refuses flattened where nothing is captured', "flattened = 'rewrite'", "'flattened' is for the format debezium")
  source('refuses type with debezium', "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium', type = 'x' }",
    "kafka: 'type' is for the formats outbox and json")
end)

describe('check.cache', function()
  local function cache(name, words, message)
    refused(name, bundles.pipeline(FOLD):gsub("name = 'x'", "name = 'x',\ncache = " .. words), 4, "pipeline 'x': " .. message)
  end
  cache('refuses a word that is none', '{ byte = 1 }', "unknown key 'byte': did you mean 'bytes'?")
  cache('refuses a cache of nothing', '{ bytes = 0 }', "'bytes' must be a whole number from 65536 to 1073741824, not 0")
  cache('refuses to keep rows for days', '{ ttl_s = 86400 }', "'ttl_s' must be a whole number from 1 to 3600, not 86400")
  cache('refuses a number', '5', "'cache' must be true or false or a table, not a number")
end)

describe('check.postgres', function()
  local function database(name, words, message)
    local text = bundles.pipeline(FOLD):gsub("write = '[^']*'", function(write) return write .. ', ' .. words end)
    refused(name, text, 2, 'postgres: ' .. message)
  end
  database('refuses an unknown setting of the breaker', 'breaker = { windows = 9 }', "unknown key 'windows': did you mean 'window'?")
  database('refuses a window that cannot be kept', 'breaker = { window = 201 }', "'window' must be a whole number from 1 to 200, not 201")
  database('refuses a share of nothing', 'breaker = { ratio = 0 }', "'ratio' must be a number from 0.01 to 1, not 0")
  database('refuses a share above the whole', 'breaker = { ratio = 1.5 }', "'ratio' must be a number from 0.01 to 1, not 1.5")
  database('refuses a share that is no number', 'breaker = { ratio = 0/0 }', "'ratio' must be a number from 0.01 to 1, not nan")
  database('refuses more failures than are looked at', 'breaker = { window = 4 }', "'failures' (5) must not be above 'window' (4)")
  database('refuses a first cool-down above the last', 'breaker = { open_ms = 5000 }', "'open_ms' (5000) must not be above 'open_max_ms' (4000)")
  database('refuses a back-off that shrinks', 'retry = { cap_ms = 50 }', "'floor_ms' (100) must not be above 'cap_ms' (50)")
  database('refuses a back-off of nothing', 'retry = { floor_ms = 0 }', "'floor_ms' must be a whole number from 10 to 10000, not 0")
  database('refuses to wait for ever', 'timeouts = { connect_ms = 0 }', "'connect_ms' must be a whole number from 100 to 60000, not 0")
  database('refuses a lock that waits longer than its statement', 'timeouts = { statement_ms = 5000 }',
    "'lock_ms' (20000) must not be above 'statement_ms' (5000)")
end)

describe('check.projection', function()
  local good = "key = { id = 'bigint' }, columns = { n = 'bigint' }, on = { X = function() end },"
  projection('names the nearest key', "table = 'balances',\nkey = { id = 'bigint' },\ncolums = { n = 'bigint' }", 7,
    "projection 'balances': unknown key 'colums': did you mean 'columns'?")
  projection('wants a table', good, 4, "projection: 'table' is missing: write table = 'name'")
  projection('wants a name as table', "table = 5,\n" .. good, 5, "projection: 'table' must be a text, not a number")
  projection('wants a possible name as table', "table = 'a ',\n" .. good,
    5, "projection 'a ': table = 'a ': it has a blank at an end, or a line break")
  projection('wants a key', "table = 'a', columns = { n = 'bigint' }, on = { X = function() end }", 4,
    "projection 'a': 'key' is missing: write key = { id = 'bigint' }")
  projection('wants handlers', "table = 'a', key = { id = 'bigint' }, columns = { n = 'bigint' }", 4, "projection 'a': 'on' is missing")
  projection('wants functions as handlers', "table = 'a', key = { id = 'bigint' }, columns = { n = 'bigint' },\non = {\n X = 5 }", 7,
    "projection 'a': on.X must be a function, not a number")
  projection('names the nearest type', "table = 'a', key = { id = 'bigint' },\ncolumns = {\n n = 'bigit' }, on = { X = function() end }", 7,
    "projection 'a': column 'n': unknown type 'bigit': did you mean 'bigint'?")
  projection('refuses a type as key', "table = 'a', key = {\nid = 'jsonb' }, columns = { n = 'bigint' }, on = { X = function() end }", 6,
    "projection 'a': key column 'id': jsonb cannot be a key")
  projection('refuses an unknown key of a key column',
    "table = 'a', key = { id = { 'bigint', form = 'key' } }, columns = { n = 'bigint' }, on = { X = function() end }", 5,
    "projection 'a': key column 'id': unknown key 'form': did you mean 'from'?")
  projection('refuses a path without root',
    "table = 'a', key = { id = { 'bigint', from = 'id' } }, columns = { n = 'bigint' }, on = { X = function() end }", 5,
    "projection 'a': from = 'id' must be 'key' or a path such as 'data.id'")
  projection('refuses a column twice', "table = 'a', key = { id = 'bigint' },\ncolumns = { id = 'bigint' }, on = { X = function() end }", 6,
    "projection 'a': the column 'id' is a key column already")
  projection('refuses initial values of no column', "table = 'a', " .. good .. "\ninitial = { m = 0 }", 6,
    "projection 'a': initial.m is not one of the columns")
  projection('refuses tables as initial values', "table = 'a', " .. good .. "\ninitial = { n = {} }", 6,
    "projection 'a': initial.n must be a text, a number or a boolean, not a table")
  projection('refuses two kinds', "table = 'a', mirror = true,\nappend = true, " .. good, 6,
    "projection 'a': 'mirror' and 'append' are two kinds of projection: use one")
  projection('refuses handlers of a mirror',
    "table = 'a', mirror = true, key = { id = 'bigint' }, columns = { n = 'bigint' },\non = { X = function() end }", 6,
    "projection 'a': 'on' has no use in a mirror")
  projection('refuses the key of an append', "table = 'a', append = true,\n" .. good, 6, "projection 'a': an append has no key")
  projection('wants every column in merge', "table = 'a', merge = { },\n" .. good, 6, "projection 'a': the column 'n' is missing in merge")
  projection('names the nearest merge word', "table = 'a', merge = { n = 'sun' },\n" .. good, 5,
    "projection 'a': merge.n = 'sun': did you mean 'sum'?")
  projection('refuses merge words for a type',
    "table = 'a', merge = { n = 'sum' }, key = { id = 'bigint' }, columns = { n = 'text' }, on = { X = function() end }", 5,
    "projection 'a': merge.n = 'sum': a text has no sum")
  projection('refuses bounds of its own for the cache', "table = 'a',\ncache = { ttl_s = 5 }, " .. good, 6,
    "projection 'a': 'cache' must be true or false, not a table")
  projection('refuses to cache rows that others change',
    "table = 'a',\ncache = true, key = { id = { 'bigint', from = 'data.x' } }, columns = { n = 'bigint' }, on = { X = function() end }", 6,
    "projection 'a': its rows cannot be cached: other lanes change its rows too")
  projection('refuses to cache rows that are never read',
    "table = 'a', append = true, columns = { n = 'bigint' },\ncache = true, on = function() end", 6,
    "projection 'a': its rows cannot be cached: rows of this kind are never read: append")
  projection('refuses a topic of nobody', "table = 'a', " .. good .. "\ntopics = { 'tt' }", 6,
    "projection 'a': the topic 'tt' is not one of the source: did you mean 't'?")
  projection('refuses newer in a fold', "table = 'a', newer = 'n', " .. good, 5, "projection 'a': 'newer' is for mirror and map")
  projection('refuses newer of what has no order',
    "table = 'a', newer = 'n', map = function() end, key = { id = 'bigint' }, columns = { n = 'uuid' }", 5,
    "projection 'a': newer = 'n': a uuid does not tell which row is the later one")
  projection('refuses newer of no column', "table = 'a', newer = 'm', map = function() end, key = { id = 'bigint' }, columns = { n = 'bigint' }", 5,
    "projection 'a': newer = 'm' is not one of the columns")
  projection('refuses building from history', "table = 'a',\nfrom = 'earliest', " .. good, 6,
    "projection 'a': from of a projection (building it from history) is not available yet")
  refused('refuses a table twice', bundles.pipeline(FOLD .. ',\n' .. FOLD), 5,
    "projection 'a': the table 'a' belongs to another projection already (pipeline.lua:4)")
  refused('wants letters of operations with debezium', bundles.pipeline(FOLD,
    "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'debezium' }"), 4,
    "projection 'a': on.X would never run: with debezium")
  refused('wants a type for handlers with json', bundles.pipeline(FOLD, "kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'json' }"), 4,
    "projection 'a': on = { … } would never run")
end)

describe('check.modules', function()
  it('names the file of a module', function()
    local said = bundles.refusal {
      ['pipeline.lua'] = bundles.pipeline("'p.balances'"),
      ['p/balances.lua'] = "-- projection\nreturn projection {\n  table = 'balances',\n  kee = {},\n}\n",
    }
    assert.is_truthy(said:find("p/balances.lua:4: projection 'balances': unknown key 'kee': did you mean 'key'?", 1, true), said)
  end)
  it('gives several messages at once', function()
    local said = bundles.refusal(bundles.pipeline("projection { table = 'a',\n kee = 1,\n colums = 2 }"))
    local _, lines = said:gsub('\n', '')
    assert.is_true(lines >= 1)
  end)
  it('says that there is no such module', function()
    local said = bundles.refusal { ['pipeline.lua'] = bundles.pipeline("'p.balance'"), ['p/balances.lua'] = 'return 1' }
    assert.is_truthy(said:find("there is no module 'p.balance' in the bundle", 1, true), said)
    assert.is_truthy(said:find("did you mean 'p.balances'?", 1, true), said)
  end)
  it('says what a module must return', function()
    local said = bundles.refusal { ['pipeline.lua'] = bundles.pipeline("'balances'"), ['balances.lua'] = 'return 1' }
    assert.is_truthy(said:find("the module 'balances' must return projection { … }, and gives a number", 1, true), said)
  end)
  it('names a circle', function()
    local said = bundles.refusal {
      ['pipeline.lua'] = bundles.pipeline("'a'"), ['a.lua'] = "return require 'b'", ['b.lua'] = "return require 'a'",
    }
    assert.is_truthy(said:find('require goes in a circle: a -> b -> a', 1, true), said)
  end)
end)
