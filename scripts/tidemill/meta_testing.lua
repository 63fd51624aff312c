---@meta
-- What a spec may use: the other half of meta.lua. Never loaded.

---@class tidemill.TestEvent
---@field topic string|nil # default: the first topic of the source
---@field key string|table|nil
---@field type string|nil
---@field data any
---@field before table|nil
---@field after table|nil
---@field op string|nil
---@field headers table<string, string>|nil
---@field id string|nil
---@field time integer|nil
---@field partition integer|nil
---@field offset integer|nil
---@field value string|nil # the record's value as it is, instead of data
---@field tombstone boolean|nil
---@field source table|nil # Debezium: fields of event.source

---@class tidemill.TestRun
---@field given table<string, table[]>|nil
---@field events tidemill.TestEvent[]|nil
---@field split boolean|nil # each event in a batch of its own
---@field dead_letters integer|nil # how many of the events are set aside, held ones too

---@class tidemill.TestLetter
---@field event integer # its place in `events`
---@field type string|nil
---@field key any
---@field topic string
---@field partition integer
---@field offset integer
---@field reason string # as in tidemill.dead_letter
---@field held boolean # it waits for an earlier one of its key
---@field text string # the reason and the event

---@class tidemill.TestFailure
---@field class tidemill.FailureClass
---@field sqlstate string|nil # default ''
---@field message string|nil # default ''
---@field attempts integer|nil # default 0
---@field records integer|nil # default 1
---@field has_others boolean|nil # default false
---@field topic string|nil
---@field partition integer|nil
---@field offset integer|nil

---@class tidemill.TestResult
---@field dead_letters tidemill.TestLetter[] # what was set aside, in order
local TestResult = {}
---@param name string
---@return table[] # sorted by key; an append: in order of events
function TestResult:rows(name) end
---@param name string
---@param key any # a value, or a table of values by column
---@return table|nil
function TestResult:row(name, key) end

---@class tidemill.TestBundle
local TestBundle = {}
---@param case tidemill.TestRun
---@return tidemill.TestResult
function TestBundle:run(case) end
---Runs under two splits and demands equal rows.
---@param case tidemill.TestRun
---@return tidemill.TestResult
function TestBundle:split(case) end
---What the pipeline's failure rule answers; raises where a run would fall back
---to the stock rule.
---@param case tidemill.TestFailure
---@return tidemill.Action action
---@return integer|nil delay_ms
function TestBundle:decide(case) end
---Forgets all rows, offsets and what was set aside.
function TestBundle:reset() end

---@class tidemill.testing
---@field decimal fun(x: tidemill.Number): tidemill.Decimal
---@field null any # JSON's null in the data of an event
---@field seconds fun(x: number|tidemill.Decimal): tidemill.Time
---@field millis fun(x: number|tidemill.Decimal): tidemill.Time
---@field micros fun(x: number|tidemill.Decimal): tidemill.Time
---@field nanos fun(x: number|tidemill.Decimal): tidemill.Time
---@field days fun(x: number|tidemill.Decimal): tidemill.Time
local testing = {}
---@param path string
---@return tidemill.TestBundle
function testing.load(path) end
---@param bundle tidemill.TestBundle
---@param case tidemill.TestRun
---@return tidemill.TestResult
function testing.split(bundle, case) end
