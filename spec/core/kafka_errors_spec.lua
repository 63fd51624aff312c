local core = require 'spec.core.core'
local C = core.lib
local ffi = require 'ffi'

core.headers('base/err.h', 'kafka/errors.h')
ffi.cdef [[
struct rd_kafka_err_desc { int code; const char *name; const char *desc; };
void rd_kafka_get_err_descs(const struct rd_kafka_err_desc **, size_t *);
]]

-- What librdkafka 2.15 has. The codes of a later one are not demanded: they are told as
-- every unknown one is.
local NEWEST_OWN, NEWEST_BROKERS = -137, 133

-- librdkafka's own list; the marks at its ends have no words.
local function each_code(visit)
  local list, n = ffi.new('const struct rd_kafka_err_desc *[1]'), ffi.new('size_t[1]')
  C.rd_kafka_get_err_descs(list, n)
  local count = 0
  for i = 0, tonumber(n[0]) - 1 do
    local d = list[0][i]
    local is_known = d.code <= NEWEST_OWN or d.code >= -1 and d.code <= NEWEST_BROKERS
    if d.name ~= nil and d.desc ~= nil and is_known then
      count = count + 1
      visit(d.code, ffi.string(d.name))
    end
  end
  return count
end

local function code_of(name)
  local code = ffi.new('int[1]')
  return C.kafka_error_find(name, code) and code[0] or nil
end

local function row(name)
  local code = code_of(name)
  return C.kafka_error(code or error(name .. ' is not found'))
end

local function class(name) return ffi.string(C.err_class_name(row(name).class)) end
local function act(name) return tonumber(row(name).act) end

describe('every error of librdkafka', function()
  it('is classified by a row of the table', function()
    local unknown = {}
    local n = each_code(function(code, name)
      if not C.kafka_error_is_known(code) then unknown[#unknown + 1] = name end
    end)
    assert.is_true(n > 150, ('%d codes were listed'):format(n))
    assert.are.same({}, unknown)
  end)

  it('is found by its name and by its number', function()
    each_code(function(code, name)
      assert.are.equal(code, code_of(name))
      assert.are.equal(code, code_of(('RD_KAFKA_RESP_ERR_' .. name):lower()))
      assert.are.equal(code, code_of(tostring(code)))
    end)
  end)

  it('has librdkafka\'s own name, also where an older one does not know it', function()
    each_code(function(code, name)
      assert.are.equal(name, ffi.string(C.kafka_error_name(code)))
    end)
    for code, name in pairs { [-139] = '_LOG_TRUNCATION', [-137] = '_DESTROY_BROKER',
      [100] = 'UNKNOWN_TOPIC_ID', [129] = 'REBOOTSTRAP_REQUIRED' } do
      assert.are.equal(name, ffi.string(C.kafka_error_name(code)))
      assert.are.equal(code, code_of(name))
    end
  end)

  it('that passes in silence asks nobody to act', function()
    local asks = { config = true, data = true, schema = true, script = true, fatal = true }
    each_code(function(_, name)
      if act(name) == C.KAFKA_MENDS then assert.is_nil(asks[class(name)], name) end
    end)
  end)
end)

describe('kafka_error', function()
  local classes = {
    none = { '_PARTITION_EOF', 'NO_ERROR', '_ASSIGN_PARTITIONS' },
    conflict = { 'REBALANCE_IN_PROGRESS', 'MEMBER_ID_REQUIRED' },
    resource = { 'KAFKA_STORAGE_ERROR', 'THROTTLING_QUOTA_EXCEEDED', '_CRIT_SYS_RESOURCE' },
    connection = { '_TRANSPORT', '_ALL_BROKERS_DOWN', '_RESOLVE', '_TIMED_OUT',
      'LEADER_NOT_AVAILABLE', 'NOT_LEADER_FOR_PARTITION', 'COORDINATOR_NOT_AVAILABLE' },
    fenced = { '_MAX_POLL_EXCEEDED', 'FENCED_INSTANCE_ID', 'ILLEGAL_GENERATION',
      'UNKNOWN_MEMBER_ID', '_ASSIGNMENT_LOST' },
    config = { '_AUTHENTICATION', '_SSL', 'SASL_AUTHENTICATION_FAILED',
      'TOPIC_AUTHORIZATION_FAILED', 'GROUP_AUTHORIZATION_FAILED', '_UNKNOWN_TOPIC',
      'UNKNOWN_TOPIC_OR_PART', 'OFFSET_OUT_OF_RANGE', '_AUTO_OFFSET_RESET',
      'MSG_SIZE_TOO_LARGE', '_BAD_MSG', 'INCONSISTENT_GROUP_PROTOCOL' },
    fatal = { '_FATAL' },
  }
  for name, codes in pairs(classes) do
    for _, code in ipairs(codes) do
      it(('%s is %s'):format(code, name), function()
        assert.are.equal(name, class(code))
      end)
    end
  end

  it('never lets a lane go on behind records that are not there or damaged', function()
    for _, code in ipairs { '_AUTO_OFFSET_RESET', 'OFFSET_OUT_OF_RANGE', '-139' } do
      assert.are.equal(tonumber(C.KAFKA_LOSES), act(code), code)
    end
    for _, code in ipairs { '_BAD_MSG', '_NOT_IMPLEMENTED' } do
      assert.are.equal(tonumber(C.KAFKA_SKIPS), act(code), code)
    end
  end)

  it('tells an error that it does not know, and takes it for a connection\'s', function()
    assert.is_false(C.kafka_error_is_known(-777))
    assert.are.equal(tonumber(C.KAFKA_TELLS), tonumber(C.kafka_error(-777).act))
    assert.are.equal(tonumber(C.ERR_CONNECTION), tonumber(C.kafka_error_class(-777)))
  end)

  it('does not find what is no error of Kafka\'s', function()
    for _, word in ipairs { '', 'RD_KAFKA_RESP_ERR_', '-777', '12x', 'TRANSPORTS' } do
      assert.is_nil(code_of(word), word)
    end
  end)
end)
