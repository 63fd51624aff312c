-- vm_decide: the failure rule as the engine asks it.
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

ffi.cdef 'int setenv(const char *, const char *, int);'
ffi.C.setenv('TIDEMILL_SCRIPTS', (os.getenv('TIDEMILL_ROOT') or '.') .. '/scripts', 0)

core.headers('base/err.h', 'base/buf.h', 'model/type.h', 'model/plan.h', 'model/failure.h', 'lua/vm.h', 'postgres/wire/sqlstate.h')

local FOLD = "projection { table = 'a', key = { id = 'bigint' }, columns = { n = 'bigint' }, on = { X = function() end } }"
-- Garbage that is all in use: more than a VM may have.
local HUNGRY = "local t, s = {}, string.rep('x', 1e6) for i = 1, 1e6 do t[i] = s .. i end"
local ACTIONS = { [0] = 'retry', 'bisect', 'dead_letter', 'hold', 'halt' }

local function new_vm(rule)
  local text = bundles.pipeline(FOLD)
  if rule then
    text = text:gsub("name = 'x'", function() return "name = 'x', failure = failure { decide = function(failure)\n" .. rule .. '\nend }' end)
  end
  local e = ffi.new('struct err')
  local bundle = bundles.with({ ['pipeline.lua'] = text }, core.bundle)
  local vm = ffi.gc(C.vm_new(bundle, e), function(vm)
    C.vm_free(vm)
    assert(bundle)
  end)
  assert(vm ~= nil, ffi.string(e.text))
  local plan = C.vm_load(vm, e)
  assert(plan ~= nil, ffi.string(e.text))
  C.plan_free(plan)
  return vm
end

-- Action and delay; the reason too when the rule is at fault.
local function decide(vm, fields)
  local f = ffi.new('struct failure', { class = C.ERR_DATA, sqlstate = '', message = '', n_records = 1 })
  for name, value in pairs(fields) do
    if name ~= 'distrusted' then f[name] = value end
  end
  local out, e = ffi.new('struct decision'), ffi.new('struct err')
  local ok = C.vm_decide(vm, f, not fields.distrusted, out, e)
  local fault = not ok and ffi.string(e.text) or nil
  if fault then assert.are.equal(tonumber(C.ERR_SCRIPT), tonumber(e.class)) end
  return ACTIONS[tonumber(out.action)], tonumber(out.delay_ms), fault
end

describe('vm_decide', function()
  it('asks the stock rule of a pipeline that has none, with every SQLSTATE class', function()
    local vm = new_vm()
    local by_class = {
      [tonumber(C.ERR_CONFLICT)] = { 'retry', 'retry' }, [tonumber(C.ERR_CONNECTION)] = { 'retry', 'retry' },
      [tonumber(C.ERR_SERVER)] = { 'retry', 'retry' }, [tonumber(C.ERR_RESOURCE)] = { 'retry', 'retry' },
      [tonumber(C.ERR_DATA)] = { 'bisect', 'hold' }, [tonumber(C.ERR_SCHEMA)] = { 'halt', 'halt' },
      [tonumber(C.ERR_CONFIG)] = { 'halt', 'halt' },
    }
    for _, class in ipairs { '00', '01', '02', '03', '08', '09', '0A', '0B', '0F', '0L', '0P', '0Z', '20', '21', '22', '23', '24',
      '25', '26', '27', '28', '2B', '2D', '2F', '34', '38', '39', '3B', '3D', '3F', '40', '42', '44', '53', '54', '55', '57', '58',
      '72', 'F0', 'HV', 'P0', 'XX' } do
      local of_err = C.sqlstate_class(class .. '000')
      local expected = by_class[tonumber(of_err)]
      assert.are.equal(expected[1], (decide(vm, { class = of_err, sqlstate = class .. '000', n_records = 100 })), class)
      assert.are.equal(expected[2], (decide(vm, { class = of_err, sqlstate = class .. '000', n_records = 1 })), class)
    end
  end)
  it('gives the delay, and -1 for the usual back-off', function()
    local vm = new_vm()
    assert.are.same({ 'retry', 3200 }, { decide(vm, { sqlstate = '23503', attempts = 2 }) })
    assert.are.same({ 'retry', -1 }, { decide(vm, { class = C.ERR_CONNECTION }) })
  end)
  it("takes the answer of the pipeline's rule", function()
    local vm = new_vm("if failure.topic == 't' and failure.partition == 2 and failure.offset == 2^40 then return 'dead_letter' end")
    assert.are.same({ 'dead_letter', -1 }, { decide(vm, { topic = 't', partition = 2, offset = 2 ^ 40 }) })
    assert.are.same({ 'hold', -1 }, { decide(vm, { topic = 't', partition = 2, offset = 7 }) })
    assert.are.same({ 'hold', -1 }, { decide(vm, {}) })
  end)
  it('falls back to the stock rule when the rule raises, and says where', function()
    local vm = new_vm("local x = nil + 1")
    local action, delay, fault = decide(vm, { n_records = 5 })
    assert.are.same({ 'bisect', -1 }, { action, delay })
    assert.is_truthy(fault:find('pipeline.lua:4: attempt to perform arithmetic on a nil value', 1, true), fault)
    assert.are.equal('halt', (decide(vm, { class = C.ERR_SCHEMA })))
  end)
  it('falls back to the stock rule when the answer is not allowed', function()
    local action, _, fault = decide(new_vm("return 'dead_letter'"), { class = C.ERR_CONNECTION })
    assert.are.equal('retry', action)
    assert.is_truthy(fault:find("'dead_letter' is no answer to a failure of class connection", 1, true), fault)
  end)
  it('stops a rule that does not end, and goes on with the next question', function()
    local vm = new_vm("if failure.attempts == 0 then while true do end end return 'dead_letter'")
    local action, _, fault = decide(vm, { attempts = 0 })
    assert.are.equal('hold', action)
    assert.is_truthy(fault:find('pipeline.lua:4: the failure rule did not come to an end', 1, true), fault)
    assert.are.same({ 'dead_letter', -1 }, { decide(vm, { attempts = 1 }) })
  end)
  it('does not ask a rule in which workers died', function()
    local action, _, fault = decide(new_vm("return 'dead_letter'"), { distrusted = true })
    assert.are.equal('hold', action)
    assert.is_truthy(fault:find('two workers died in it', 1, true), fault)
  end)
  it('stops a rule that catches being stopped', function()
    local caught = 'pcall(function() while true do end end) '
    for _, rule in ipairs { 'while true do ' .. caught .. 'end', caught .. "return 'dead_letter'" } do
      local action, _, fault = decide(new_vm(rule), {})
      assert.are.equal('hold', action)
      assert.is_truthy(fault:find('the failure rule did not come to an end', 1, true), fault)
    end
  end)
  it('falls back to the stock rule in a new VM when the rule takes all memory, also if it catches that', function()
    for _, rule in ipairs { HUNGRY, 'pcall(function() ' .. HUNGRY .. " end) return 'dead_letter'" } do
      -- The files of the bundle are gone: the new VM needs none.
      local action, delay, fault = decide(new_vm(rule), {})
      assert.are.same({ 'hold', -1 }, { action, delay })
      assert.is_truthy(fault:find('the failure rule took more memory than the scripts may have', 1, true), fault)
    end
  end)
end)
