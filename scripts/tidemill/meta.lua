---@meta
-- What a pipeline and a handler may use, for editors that read LuaLS annotations;
-- meta_testing.lua has what specs may use. Never loaded.

---@alias tidemill.Number number|tidemill.Decimal|string

---An exact decimal of up to 38 digits. Whole numbers from 2^53 on are read as decimals.
---Can be combined with numeric texts, and with Lua numbers that arithmetic has not
---rounded.
---@class tidemill.Decimal
---@operator add(tidemill.Number): tidemill.Decimal
---@operator sub(tidemill.Number): tidemill.Decimal
---@operator mul(tidemill.Number): tidemill.Decimal
---@operator mod(tidemill.Number): tidemill.Decimal
---@operator unm: tidemill.Decimal
---@operator concat(string|number): string

---A time that knows its unit: for columns of times and of texts, keys and JSON.
---Compares with others of its kind; tostring gives ISO 8601 in UTC.
---@class tidemill.Time
---@operator concat(string|number): string

---A JSON object of an event; `pairs` goes through it in the record's order. Every
---name is a field of the record, `table` too, and may be computed.
---@class tidemill.Object
---@field [string] any
local Object = {}
---A call is always this word, whatever fields the record has.
---@return table # a plain Lua table of the object
function Object:table() end

---@class tidemill.Event
---@field key any # a text, or an object with fields
---@field type string|nil
---@field id string
---@field time integer # milliseconds since 1970
---@field op 'c'|'u'|'d'|'r'|'t'|nil
---@field data any
---@field before tidemill.Object # nil: of no change, or of an insert
---@field after tidemill.Object # nil: of no change, or of a delete
---@field source tidemill.Object|nil # of an envelope: lsn, txId, ts_ms, schema, table, …
---@field headers table<string, string>
---@field topic string
---@field partition integer
---@field offset integer
local Event = {}
---Does the record have that field? A field that is null counts, a missing one does not.
---@param path string # data.x, before.x, after.x, key.x, source.x or headers.x
---@return boolean
function Event:has(path) end

---A column that has the name of a word hides it: use tidemill.word(row) then.
---@class tidemill.Row
---@field exists boolean # fold: is there such a row now?
---@field [string] any
local Row = {}
---Deletes the row (fold and map).
function Row:delete() end
---Sets every column to its initial value, or NULL (fold).
function Row:reset() end

---The words of events, their objects and rows as functions: a field of the record or
---a column may have a word's name.
---@class tidemill.Words
tidemill = {}
---@param object tidemill.Object
---@return table # a plain Lua table of the object
function tidemill.table(object) end
---@param event tidemill.Event
---@param path string
---@return boolean
function tidemill.has(event, path) end
---@param row tidemill.Row
---@return boolean
function tidemill.exists(row) end
---@param row tidemill.Row
function tidemill.delete(row) end
---@param row tidemill.Row
function tidemill.reset(row) end

---@alias tidemill.Handler fun(row: tidemill.Row, event: tidemill.Event): boolean?
---@alias tidemill.KeyFunction fun(event: tidemill.Event): any

---@alias tidemill.KeyType
---| 'smallint'
---| 'integer'
---| 'bigint'
---| 'numeric'
---| 'boolean'
---| 'uuid'
---| 'text'
---| 'varchar'
---| 'char'
---| 'date'
---| 'timestamp'
---| 'timestamptz'
---| 'bytea'
---| string # PostgreSQL's other names of them

---Also with length, precision and scale: 'varchar(40)', 'numeric(18,2)'.
---@alias tidemill.ColumnType
---| 'smallint'
---| 'integer'
---| 'bigint'
---| 'numeric'
---| 'real'
---| 'double precision'
---| 'boolean'
---| 'text'
---| 'varchar'
---| 'char'
---| 'uuid'
---| 'bytea'
---| 'date'
---| 'time'
---| 'timestamp'
---| 'timestamptz'
---| 'json'
---| 'jsonb'
---| 'text[]'
---| 'bigint[]'
---| string # the same with parentheses

---@class tidemill.KeyColumn
---@field [1] tidemill.KeyType
---@field from 'key'|string|string[]|tidemill.KeyFunction|nil # 'key', a path, paths
---@field letters 'upper'|'lower'|nil # how record keys write a uuid; lower

---@class tidemill.MirrorColumn
---@field [1] tidemill.ColumnType
---@field from string # a path: 'source.lsn', "after['a.b'][1].c"

---@class tidemill.Example
---@field given table<string, table[]>|nil
---@field events tidemill.TestEvent[]
---@field rows table[]|table<string, table[]> # of a batch function: by table
---@field dead_letters integer|nil # how many of the events are set aside; nil: none

---A loop over events, as `for` takes it.
---@alias tidemill.Events fun(state: any, last: any): tidemill.Event

---What a batch function gets beside its tables.
---@class tidemill.Batch
local Batch = {}
---All events of the batch, in order.
---@return fun(state: any, last: any): tidemill.Event
---@return any state
function Batch:events() end

---A table of a batch function. If its keys say where they are `from`, it has events and
---groups; with `append` it has only add and insert.
---@class tidemill.Table
local Table = {}
---Each event with its row, in order.
---@return fun(state: any, last: any): tidemill.Event, tidemill.Row
---@return any state
function Table:events() end
---Each row with its events, in order.
---@return fun(state: any, last: any): tidemill.Row, tidemill.Events
---@return any state
function Table:groups() end
---The row of a key: the values of its columns, in the order of `key`.
---@param key any
---@param ... any
---@return tidemill.Row
function Table:row(key, ...) end
---Names rows that the function will ask for, so that all are loaded at once.
---@param keys any[] # values, or lists of values where the key has several columns
function Table:load(keys) end
---append: a new row, to be filled in.
---@return tidemill.Row
function Table:add() end
---append: a new row of these values.
---@param row table<string, any>
function Table:insert(row) end

---@class tidemill.TableSpec
---@field table string|nil # default: its name in `tables`
---@field key table<string, string|tidemill.KeyColumn>|nil # no from: asked for by key
---@field columns table<string, string>
---@field initial table<string, any>|nil
---@field append boolean|nil
---@field unlogged boolean|nil # its rows may be gone after a crash of the server
---@field shared boolean|nil # rows that other events enter may be asked for too

---@class tidemill.ProjectionSpec
---@field table string
---@field key table<string, tidemill.KeyType|tidemill.KeyColumn>|nil
---@field columns table<string, tidemill.ColumnType|tidemill.MirrorColumn>
---@field initial table<string, any>|nil
---@field on table<string, tidemill.Handler>|tidemill.Handler|nil
---@field map tidemill.Handler|boolean|nil
---@field mirror boolean|nil
---@field append boolean|nil
---@field merge table<string, 'sum'|'min'|'max'>|nil
---@field before_write fun(row: tidemill.Row)|nil
---@field ignore string[]|nil
---@field strict boolean|nil
---@field unlogged boolean|nil # its rows may be gone after a crash of the server
---@field newer string|nil
---@field once table<string, string>|string|nil # { version = 'data.version' }, 'event_id'
---@field topics string[]|nil
---@field examples tidemill.Example[]|nil
---@field batch fun(batch: tidemill.Batch, tables: table<string, tidemill.Table>)|nil
---@field tables table<string, tidemill.TableSpec>|nil # with batch
---@field cache boolean|nil # false: its rows are loaded for every batch

---The connector's time.precision.mode, or the unit of all numbers.
---@alias tidemill.Times
---| 'adaptive'
---| 'adaptive_time_microseconds'
---| 'connect'
---| 'isostring'
---| 'microseconds'
---| 'nanoseconds'
---| 'seconds'
---| 'millis'
---| 'micros'
---| 'nanos'

---What a topic holds and how it is read: in kafka { … } for all topics, in an entry of
---`topics` for those that it names.
---@class tidemill.TopicSpec
---@field format 'outbox'|'debezium'|'json'|nil # must be said for every topic
---@field type string|nil # outbox: a header; json: a path such as 'data.kind'
---@field decimals 'string'|'precise'|'double'|nil
---@field times tidemill.Times|nil
---@field binary 'bytes'|'base64'|'base64-url-safe'|'hex'|nil
---@field unavailable string|nil # the connector's unavailable.value.placeholder
---@field truncate 'apply'|'halt'|nil
---@field flattened 'rewrite'|'tombstone'|nil # rows after ExtractNewRecordState
---@field outbox tidemill.OutboxSpec|nil # raw rows of an outbox table

---@class tidemill.OutboxSpec
---@field table tidemill.OutboxTable

---Names of columns; the defaults are those of the EventRouter.
---@class tidemill.OutboxTable
---@field id string|nil # 'id'
---@field key string|nil # 'aggregateid'
---@field type string|nil # 'type'
---@field payload string|nil # 'payload'
---@field time string|nil

---Names of topics, and settings for these alone.
---@class tidemill.TopicEntry: tidemill.TopicSpec
---@field [integer] string

---@class tidemill.StartTime
---@field timestamp integer|string # milliseconds, or '2024-01-31T12:00:00Z'

---@class tidemill.StartOntoRows
---@field [1] 'earliest'|'group'|integer|string # or a time
---@field onto_rows boolean # true: all records are applied also where tables have rows

---@alias tidemill.Start
---| 'earliest'
---| 'latest'
---| 'group' # the group's committed offsets
---| integer # milliseconds since 1970
---| string # '2024-01-31T12:00:00Z'
---| tidemill.StartTime
---| tidemill.StartOntoRows

---@class tidemill.KafkaSpec: tidemill.TopicSpec
---@field brokers string
---@field group string
---@field topics (string|tidemill.TopicEntry)[]
---@field start tidemill.Start|nil
---@field options table<string, string|number|boolean>|nil

---@class tidemill.PostgresSpec
---@field write string
---@field read string|nil
---@field pool tidemill.PoolSpec|nil
---@field retry tidemill.RetrySpec|nil
---@field breaker tidemill.BreakerSpec|nil
---@field timeouts tidemill.TimeoutsSpec|nil

---@class tidemill.PoolSpec
---@field max integer|nil # connections a worker: 8

---@class tidemill.RetrySpec
---@field floor_ms integer|nil
---@field cap_ms integer|nil

---@class tidemill.BreakerSpec
---@field window integer|nil # outcomes that are looked at
---@field failures integer|nil # so many of them open it, at least
---@field ratio number|nil # and this share of them
---@field open_ms integer|nil # how long it stays open, at first
---@field open_max_ms integer|nil # and at most

---@class tidemill.TimeoutsSpec
---@field connect_ms integer|nil # one attempt at one host
---@field statement_ms integer|nil
---@field lock_ms integer|nil
---@field idle_in_transaction_ms integer|nil
---@field tcp_user_ms integer|nil

---@class tidemill.DeadLettersSpec
---@field max_share number|nil # of a lane's last 1000 records, before it halts: 0.05
---@field max_held integer|nil # records that wait for one failed record: 10000
---@field hold boolean|nil # later records of a failed one's key wait for it: true
---@field topic string|nil # dead letters are produced to it too

---@class tidemill.BatchSpec
---@field size integer|nil
---@field bytes integer|nil
---@field linger_ms integer|nil
---@field concurrency integer|nil

---@class tidemill.CacheSpec
---@field bytes integer|nil # of memory in each worker: 33554432
---@field ttl_s integer|nil # how long a row may be kept: 600

---@class tidemill.PipelineSpec
---@field name string
---@field source tidemill.Kafka
---@field database tidemill.Postgres
---@field batch tidemill.BatchSpec|false|nil # false: one event a transaction
---@field projections (string|tidemill.Projection)[]
---@field failure string|tidemill.Rule|tidemill.FailureRule|nil # rule 'sqlstate'
---@field dead_letters tidemill.DeadLettersSpec|nil
---@field cache tidemill.CacheSpec|boolean|nil # false: every batch loads its rows

---@class tidemill.Kafka
---@class tidemill.Postgres
---@class tidemill.Projection
---@class tidemill.Pipeline
---@class tidemill.Rule
---@class tidemill.FailureRule

---@alias tidemill.FailureClass
---| 'conflict'
---| 'connection'
---| 'server'
---| 'resource'
---| 'data'
---| 'script'
---| 'schema'
---| 'config'
---| 'fatal'

---What a failure rule is asked about; it can only be read.
---@class tidemill.Failure
---@field class tidemill.FailureClass
---@field sqlstate string # '' when the database had no part in it
---@field message string
---@field attempts integer # failures of the same work before this one
---@field records integer # 1: a single record is to blame
---@field has_others boolean # others were committed since this work first failed
---@field topic string|nil # nil: several lanes
---@field partition integer|nil
---@field offset integer|nil # of the record, or of the first one

---@alias tidemill.Action 'retry'|'bisect'|'dead_letter'|'hold'|'halt'

---@class tidemill.FailureSpec
---@field decide fun(failure: tidemill.Failure): tidemill.Action?, number? # milliseconds

---@param spec tidemill.PipelineSpec
---@return tidemill.Pipeline
function pipeline(spec) end

---@param spec tidemill.KafkaSpec
---@return tidemill.Kafka
function kafka(spec) end

---@param spec tidemill.PostgresSpec
---@return tidemill.Postgres
function postgres(spec) end

---@param spec tidemill.ProjectionSpec
---@return tidemill.Projection
function projection(spec) end

---A rule by its name: one of Tidemill's ('sqlstate'), or a module of the bundle.
---@param name string
---@return tidemill.Rule
function rule(name) end

---Not available yet.
---@param spec table
function grouping(spec) end

---Not available yet.
---@param spec table
function tuning(spec) end

---A failure rule says what to do about a failure; nil: as the stock rule says.
---@param spec tidemill.FailureSpec
---@return tidemill.FailureRule
function failure(spec) end

---Not available yet.
---@param spec table
function commands(spec) end

---An environment variable; without a default it must be set.
---@param name string
---@param default string|nil
---@return string
function env(name, default) end

---The text of a file, without the newline at its end: for secrets.
---@param path string
---@return string
function file(path) end

---@param x tidemill.Number
---@return tidemill.Decimal
function decimal(x) end

---a / b, rounded half away from zero to [scale] digits.
---@param a tidemill.Number
---@param b tidemill.Number
---@param scale integer
---@return tidemill.Decimal
function div(a, b, scale) end

---Rounds half away from zero. A Lua number counts with the 15 digits that it holds: it
---raises where more would be needed, and returns a decimal where 14 or 15 are.
---@generic T: tidemill.Number
---@param x T
---@param scale integer|nil
---@return T
function round(x, scale) end

---@generic T: tidemill.Number
---@param x T
---@return T
function abs(x) end

---@generic T: tidemill.Number
---@param ... T
---@return T
function min(...) end

---@generic T: tidemill.Number
---@param ... T
---@return T
function max(...) end

---The time that long after 1970 began (in a `time` column: after midnight).
---@param x number|tidemill.Decimal
---@return tidemill.Time
function seconds(x) end
---@param x number|tidemill.Decimal
---@return tidemill.Time
function millis(x) end
---@param x number|tidemill.Decimal
---@return tidemill.Time
function micros(x) end
---@param x number|tidemill.Decimal
---@return tidemill.Time
function nanos(x) end
---@param x number|tidemill.Decimal
---@return tidemill.Time
function days(x) end
