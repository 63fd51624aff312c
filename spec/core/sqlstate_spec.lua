local core = require 'spec.core.core'
local C = core.lib
local ffi = require 'ffi'

core.headers('base/err.h', 'postgres/wire/sqlstate.h', 'postgres/wire/condition.h')

local function class(state) return ffi.string(C.err_class_name(C.sqlstate_class(state))) end

-- Codes that a later version than this one adds are not demanded: what no row knows
-- halts, and is told.
local NEWEST = 18

-- PostgreSQL's own list, of the newest version that is installed.
local function errcodes()
  local pipe = io.popen('ls -v /usr/share/postgresql/*/errcodes.txt 2>/dev/null | tail -n 1')
  local path = pipe:read('*l')
  pipe:close()
  assert(path, 'no /usr/share/postgresql/*/errcodes.txt: install the package postgresql')
  local codes, n = {}, 0
  local is_later = tonumber(path:match '/(%d+)/') > NEWEST
  for line in io.lines(path) do
    local code, name = line:match('^(%w%w%w%w%w)%s+[ESW]%s+ERRCODE_[%w_]+%s*(.*)$')
    if code then
      n = n + 1
      if not is_later or C.condition_name(code) ~= nil then
        codes[code] = codes[code] or (name ~= '' and name) or nil
      end
    end
  end
  return codes, n
end

describe('every SQLSTATE of PostgreSQL', function()
  local codes, n = errcodes()

  it('is read from its list', function()
    assert.is_true(n > 250, ('%d lines were understood'):format(n))
  end)

  it('is classified by a row of the table', function()
    local unknown = {}
    for code in pairs(codes) do
      if not C.sqlstate_is_known(code) then unknown[#unknown + 1] = code end
    end
    assert.are.same({}, unknown)
  end)

  it('has the name that PostgreSQL gives it', function()
    for code, name in pairs(codes) do
      local ours = C.condition_name(code)
      assert.is_true(ours ~= nil, code .. ' has no name')
      assert.are.equal(code .. ' ' .. name, code .. ' ' .. ffi.string(ours))
    end
  end)

  it('is nobody else\'s: the table names nothing that does not exist', function()
    -- Of versions from 14 to 18, but not of each.
    local others = { ['25P04'] = true, ['10608'] = true, ['58P03'] = true, ['22P07'] = true, ['72000'] = true }
    local count = ffi.new('size_t[1]')
    local list = C.condition_list(count)
    for i = 0, tonumber(count[0]) - 1 do
      local code = ffi.string(list[i].sqlstate)
      assert.is_true(codes[code] ~= nil or others[code] or code:match('^TM') ~= nil, code)
    end
  end)
end)

describe('sqlstate_class', function()
  local cases = {
    fenced = { 'TM001' },
    conflict = { 'TM002', 'TM003', '40000', '40001', '40P01', '55P03', '55006', '26000', '72000' },
    connection = { '', '08000', '08006', '08007', '08P01', '40003', '57P01', '57P02',
      '57P03', '57P05', '25P01', '25P02', '25P03', '0B000' },
    resource = { '53100', '53200', '53300', '53400', '57000', '57014', '58000', '58030',
      '25P04', 'HV001', 'HV00N' },
    server = { '25006' },
    data = { '21000', '22003', '22021', '22P02', '23502', '23503', '23505', '23514',
      '23P01', '40002', '44000', '54000', '54001', '27000', '20000', '38000', '39004',
      '2F005', '01000', '02000', 'P0001', 'P0002' },
    schema = { 'TM004', 'TM005', '42P01', '42703', '42804', '3F000', '0A000', '2200H', '2BP01', '2D000',
      '2F003', '34000', '38002', '39P01', '3B001', '54011', '54023', '55000', '55P04',
      '58P01', 'HV000', 'XX000', 'XX001', 'XX002', 'ZZ999' },
    config = { '28000', '28P01', '3D000', '42501', '42P05', '55P02', '57P04', '0P000',
      'F0000' },
  }
  for name, states in pairs(cases) do
    for _, state in ipairs(states) do
      it(("'%s' is %s"):format(state, name), function()
        assert.are.equal(name, class(state))
      end)
    end
  end

  it('takes no code at all for a lost connection', function()
    assert.are.equal('connection', class(nil))
  end)

  it('halts for a code that the table does not know, and tells', function()
    assert.are.equal('schema', class('ZZ999'))
    assert.is_false(C.sqlstate_is_known('ZZ999'))
  end)
end)

describe('a refused attempt to connect', function()
  local function refusal(state, text)
    return ffi.string(C.err_class_name(C.sqlstate_refusal(state, text or '')))
  end

  it('keeps the classes that speak of the server', function()
    assert.are.equal('config', refusal('28P01'))
    assert.are.equal('config', refusal('3D000'))
    assert.are.equal('connection', refusal('57P03'))
    assert.are.equal('resource', refusal('53300'))
    assert.are.equal('connection', refusal('08P01'))
  end)

  it('blames the settings where a statement would blame record or table', function()
    assert.are.equal('config', refusal('22023'))
    assert.are.equal('config', refusal('42704'))
  end)

  it('is an outage when the code says nothing of the kind', function()
    assert.are.equal('connection', refusal('XX000'))
    assert.are.equal('connection', refusal('55000'))
    assert.are.equal('connection', refusal('ZZ999'))
    assert.are.equal('connection', refusal('40001'))
  end)

  local texts = {
    connection = { 'connection to server at "db", port 5432 failed: Connection refused',
      'could not translate host name "db" to address: Name or service not known',
      'connection to server at "db", port 5432 failed: timeout expired',
      'server closed the connection unexpectedly',
      'connection to server at "db" failed: SSL SYSCALL error: EOF detected' },
    server = { 'connection to server at "db", port 5432 failed: session is read-only',
      'connection to server at "db", port 5432 failed: server is in hot standby mode' },
    config = { 'invalid sslmode value: "maybe"', 'invalid port number: "x"',
      'could not match 2 port numbers to 3 hosts', 'definition of service "x" not found',
      'fe_sendauth: no password supplied',
      'server does not support SSL, but SSL was required',
      'SSL error: certificate verify failed',
      'root certificate file "/x" does not exist' },
  }
  for name, list in pairs(texts) do
    for _, text in ipairs(list) do
      it(("without a code is %s: %s"):format(name, text), function()
        assert.are.equal(name, refusal('', text))
      end)
    end
  end
end)
