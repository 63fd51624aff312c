-- The decoder through FFI: records in, plain Lua tables out.
local ffi = require 'ffi'
local core = require 'spec.core.core'

-- A callback from C must not arrive in compiled code.
jit.off()

local M = {}

core.headers('model/record.h', 'model/type.h', 'model/plan.h',
  'decode/envelope/decoder.h')
ffi.cdef 'void *malloc(size_t); void free(void *);'
local C = core.lib

local STATES = { [0] = 'ok', 'skipped', 'failed', 'cut' }
local FORMATS = { outbox = 'FORMAT_OUTBOX', debezium = 'FORMAT_DEBEZIUM',
                  json = 'FORMAT_JSON' }

local function decimal(p)
  local text = ffi.new('char[64]')
  return 'dec:' .. ffi.string(text, C.tm_dec_format(p, text))
end

local function small_decimal(cell)
  local d = ffi.new('struct tm_dec')
  d.lo, d.hi, d.scale = ffi.cast('uint64_t', cell.i), cell.i < 0 and -1 or 0, cell.scale
  return decimal(d)
end

local function text(cell) return ffi.string(cell.p, cell.len) end

local READ = {
  [C.TM_MISSING] = function() return 'missing' end,
  [C.TM_NULL] = function() return 'null' end,
  [C.TM_BOOL] = function(cell) return cell.i ~= 0 end,
  [C.TM_INT] = function(cell) return 'int:' .. tostring(cell.i):gsub('LL$', '') end,
  [C.TM_DEC] = small_decimal,
  [C.TM_BIGDEC] = function(cell) return decimal(ffi.cast('struct tm_dec *', cell.p)) end,
  [C.TM_NUMBER] = function(cell) return 'number:' .. text(cell) end,
  [C.TM_TEXT] = text,
  [C.TM_OBJECT] = function(cell) return 'object:' .. text(cell) end,
  [C.TM_ARRAY] = function(cell) return 'array:' .. text(cell) end,
}

--- A cell as Lua: booleans, and strings that begin with their kind unless they
--- are texts.
local function value_of(cell) return READ[cell.tag](cell) end

local Decoder = {}
Decoder.__index = Decoder

local headers_of = {}

local function find_header(message, name, out)
  local all = headers_of[tonumber(ffi.cast('intptr_t', message))] or {}
  local value = all[ffi.string(name)]
  if value == nil then return 0 end
  out.name, out.value, out.len = name, value or nil, value and #value or 0
  return 1
end
local header_fn = ffi.cast('record_header_fn', find_header)

-- A field of struct plan_topic that is a word of an enum.
local function set_word(topic, name, word)
  if word then topic[name] = C[(name .. '_' .. word):upper()] end
end

local function fill(topic, options)
  topic.name = options.name or 'topic'
  topic.format = C[FORMATS[options.format]]
  topic.type_header = options.type_header or 'eventType'
  topic.type_path = options.type_path
  for _, name in ipairs { 'decimals', 'times', 'binary', 'flattened' } do
    set_word(topic, name, options[name])
  end
  if not options.outbox then return nil end
  local outbox = ffi.new('struct plan_outbox')
  for name, column in pairs(options.outbox) do outbox[name] = column end
  topic.outbox = outbox
  return outbox
end

--- A source of topics, each { name, format, type_header, type_path, decimals, times,
--- binary, flattened, outbox }; what must live as long as it stands in the second result.
function M.source(topics)
  local source = ffi.new('struct plan_source')
  local settings = ffi.new('struct plan_topic[?]', #topics)
  local keep = { settings, topics }
  for i, options in ipairs(topics) do keep[#keep + 1] = fill(settings[i - 1], options) end
  source.settings, source.n_topics = settings, #topics
  return source, keep
end

--- options: those of one topic, or a list of them.
function M.new(options)
  local self = setmetatable({ keep = {}, nodes = {} }, Decoder)
  local source, kept = M.source(options[1] and options or { options })
  self.options, self.source, self.kept = options, source, kept
  self.c = ffi.gc(C.decoder_new(source, header_fn), C.decoder_free)
  self.arena = core.arena()
  return self
end

--- Wants the paths from now on.
function Decoder:want(...)
  for _, name in ipairs { ... } do
    self.nodes[name] = C.decoder_path(self.c, name)
  end
  return self
end

-- Each key and value lies in a block of its own, so that a sanitizer sees
-- every byte that is read beyond its end.
local function copy(bytes)
  if not bytes then return nil, 0 end
  local block = ffi.gc(ffi.C.malloc(math.max(#bytes, 1)), ffi.C.free)
  ffi.copy(block, bytes, #bytes)
  return block, #bytes
end

--- Decodes records: { key =, value =, topic =, time_ms =, headers = }.
function Decoder:run(records)
  local n = #records
  local c = ffi.new('struct record[?]', n)
  self.keep, headers_of = {}, {}
  for i, r in ipairs(records) do
    local key, key_len = copy(r.key)
    local value, value_len = copy(r.value)
    local topic = r.topic or 'topic'
    table.insert(self.keep, { key, value, topic })
    c[i - 1].key, c[i - 1].key_len = key, key_len
    c[i - 1].value, c[i - 1].value_len = value, value_len
    c[i - 1].topic, c[i - 1].time_ms = topic, r.time_ms or -1
    c[i - 1].message = ffi.cast('void *', i)
    headers_of[i] = r.headers
  end
  self.view, self.events = ffi.new('struct tm_batch'), ffi.new('struct events')
  self.events.view, self.events.records, self.events.arena = self.view, c, self.arena
  self.keep.records = c
  C.events_prepare(self.events, self.c, n)
  C.decoder_run(self.c, self.events, 0, n)
  return self
end

--- The value of a wanted path for the event-th record (from 1).
function Decoder:value(event, name)
  return value_of(self.events.columns[self.nodes[name]][event - 1])
end

--- All wanted paths of an event by name.
function Decoder:values(event)
  local out = {}
  for name in pairs(self.nodes) do out[name] = self:value(event, name) end
  return out
end

function Decoder:root(event, name)
  return value_of(self.events.columns[C.decoder_path(self.c, name)][event - 1])
end

function Decoder:state(event) return STATES[self.events.states[event - 1]] end

function Decoder:reason(event)
  local reason = self.events.reasons[event - 1]
  return reason ~= nil and ffi.string(reason) or nil
end

function Decoder:is_misfit(event)
  return bit.band(self.events.flags[event - 1], C.EVENT_MISFIT) ~= 0
end

function Decoder:op(event)
  local op = self.events.ops[event - 1]
  return op ~= 0 and string.char(op) or nil
end

function Decoder:type(event)
  local len = ffi.new('size_t[1]')
  local name = C.decoder_type_name(self.c, self.events.types[event - 1], len)
  return name ~= nil and ffi.string(name, len[0]) or nil
end

function Decoder:time(event) return tonumber(self.events.times_ms[event - 1]) end

function Decoder:has_schema(event)
  return bit.band(self.events.flags[event - 1], C.EVENT_HAS_SCHEMA) ~= 0
end

--- Where a text or raw value lies inside the record's value (from 0), or nil.
function Decoder:place(event, name)
  local cell = self.events.columns[self.nodes[name]][event - 1]
  local record = self.events.records[event - 1]
  local at = tonumber(cell.p - record.value)
  return at >= 0 and at < record.value_len and at or nil
end

--- A column fault: true, or false when a record could not be read.
function Decoder:fault(name)
  local node = C.decoder_path(self.c, name)
  self.nodes[name] = node
  return C.decoder_column(self.c, self.events, node)
end

--- The flat list of a JSON value, or nil.
function Decoder:tokens(json)
  local out, n = ffi.new('const struct tm_cell *[1]'), ffi.new('uint32_t[1]')
  local block = copy(json)
  if C.decoder_tokens(self.c, self.arena, block, #json, out, n) < 0 then return nil end
  local list = {}
  for i = 0, n[0] - 1 do
    local cell = out[0][i]
    local container = cell.tag == C.TM_OBJECT and 'object/' or cell.tag == C.TM_ARRAY
      and 'array/'
    list[i + 1] = container and container .. cell.len or value_of(cell)
  end
  return list
end

--- Records of spec/fixtures/NAME.jsonl, key and value as they were in Kafka.
function M.fixture(name)
  local records = {}
  for line in io.lines('spec/fixtures/' .. name .. '.jsonl') do
    local topic, key, headers, value = line:match(
      '^{"topic":"(.-)","key":(.-),"headers":"(.-)","value":(.*)}%s*$')
    local all = {}
    for k, v in headers:gmatch('([^,=]+)=([^,]*)') do all[k] = v end
    records[#records + 1] = {
      topic = topic, headers = all, time_ms = 1,
      key = key ~= 'null' and key or nil, value = value ~= 'null' and value or nil,
    }
  end
  return records
end

return M
