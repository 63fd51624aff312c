-- What is told when Kafka does not let us in, from librdkafka's own words.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/err.h', 'model/type.h', 'model/plan.h', 'kafka/refusal.h')

local OLD, NEW = 0x020002ff, 0x020601ff

local function hint(reason, version)
  local text = C.refusal_hint(reason, version or OLD)
  return text ~= nil and ffi.string(text) or nil
end

describe('refusal_hint', function()
  local at = 'sasl_ssl://kafka:9093/bootstrap: '
  local cases = {
    { 'SASL authentication error: Authentication failed: Invalid username or password',
      'sasl.password' },
    { 'SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: '
      .. "broker's supported mechanisms: SCRAM-SHA-512", 'one that it supports' },
    { 'SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: '
      .. 'broker certificate could not be verified', 'ssl.ca.location' },
    { 'Disconnected while requesting ApiVersion: might be caused by incorrect '
      .. 'security.protocol configuration (connecting to a SSL listener?) or broker '
      .. 'version is < 0.10', 'the port speaks TLS' },
    { 'Disconnected: verify that security.protocol is correctly configured, broker '
      .. 'might require SASL authentication', 'the port wants SASL' },
    { 'error:0A000126:SSL routines::unexpected eof while reading', 'speaks none' },
    { 'SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?',
      'the port speaks no TLS' },
    { 'SSL handshake failed: error:0A000412:SSL routines::sslv3 alert bad certificate',
      'our certificate' },
    { 'Receive failed: Invalid response size 1213486160 (0..100000000): increase '
      .. 'receive.message.max.bytes', 'what answers there is no Kafka broker' },
  }
  for _, case in ipairs(cases) do
    it(('says "%s" of: %s'):format(case[2], case[1]), function()
      assert.is_truthy(hint(at .. case[1]):find(case[2], 1, true))
    end)
  end
  -- librdkafka 2.14 has it in its log alone.
  it('takes from the log what is no error: a port that speaks TLS', function()
    local line = '[thrd:k:9093/bootstrap]: k:9093/bootstrap: Disconnected: connection closed '
      .. 'by peer: receive 0 after POLLIN (after 12ms in state APIVERSION_QUERY)'
    local text = C.refusal_in_log('FAIL', line)
    assert.matches('^k:9093/bootstrap: Disconnected', ffi.string(text))
    assert.matches('the port speaks TLS', hint(ffi.string(text)))
    assert.is_true(C.refusal_in_log('FAIL', (line:gsub('APIVERSION_QUERY', 'UP'))) == nil)
    assert.is_true(C.refusal_in_log('FAIL', (line:gsub('k:9093', 'sasl_ssl://k:9093'))) == nil)
    assert.is_true(C.refusal_in_log('CONNECT', line) == nil)
  end)
  it('has nothing to say of a broker that is not there', function()
    assert.is_nil(hint(at .. 'Connect to ipv4#127.0.0.1:1 failed: Connection refused'))
    assert.is_nil(hint '1/1 brokers are down')
  end)
  it('knows that an old librdkafka cannot log in to Kafka 4 by SCRAM', function()
    local words = 'SASL authentication error: Authentication failed during '
      .. 'authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512'
    assert.is_truthy(hint(words, OLD):find('needs librdkafka 2.6.1', 1, true))
    assert.is_nil(hint(words, NEW):find('2.6.1', 1, true))
  end)
end)

describe('refusal_set', function()
  it('says which setting is wrong, and librdkafka\'s words', function()
    local e, none = ffi.new('struct err'), ffi.new('struct plan_option[1]')
    local reason = 'ssl.ca.location failed: no such file'
    assert.is_false(C.refusal_set(e, 'it', reason, none, 0))
    assert.are.equal(C.ERR_CONFIG, e.class)
    assert.are.equal('it cannot start: the file of ssl.ca.location cannot be read, or '
      .. 'holds no certificate in PEM form (ssl.ca.location failed: no such file)',
      ffi.string(e.text))
    C.refusal_set(e, 'it', 'sasl.username and sasl.password must be set', none, 0)
    assert.are.equal('it cannot start: sasl.username and sasl.password must be set',
      ffi.string(e.text))
  end)
  it('repeats no value of an option', function()
    local e, option = ffi.new('struct err'), ffi.new('struct plan_option[1]')
    option[0].name, option[0].value = 'sasl.mechanism', 'hunter2'
    C.refusal_set(e, 'it', 'Unsupported SASL mechanism: hunter2', option, 1)
    assert.are.equal('it cannot start: sasl.mechanism is none that exists',
      ffi.string(e.text))
    C.refusal_set(e, 'it', 'no hunter2', option, 1)
    assert.is_nil(ffi.string(e.text):find('hunter2', 1, true))
  end)
end)
