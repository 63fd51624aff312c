-- The parameters of a statement: values in binary, with their types.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('postgres/wire/params.h')

local function sealed(fill)
  local p = ffi.gc(ffi.new('struct params'), C.params_close)
  C.params_init(p)
  fill(p)
  C.params_seal(p)
  local list = {}
  for i = 0, p.n - 1 do
    local hex = 'NULL'
    if p.values[i] ~= nil then
      hex = ffi.string(p.values[i], p.lengths[i]):gsub('.', function(c)
        return ('%02x'):format(c:byte())
      end)
    end
    list[i + 1] = ('%d %d %s'):format(p.oids[i], p.formats[i], hex)
  end
  return list
end

describe('parameters', function()
  it('keep their order, each with its type', function()
    assert.are.same({ '25 1 6162', '23 1 fffffffe', '20 1 0000000000000003', '16 1 01',
      '25 1 63', '1011 1 00000001000000000000001c00000001000000010000000400000007' },
      sealed(function(p)
        C.params_text(p, 'ab')
        C.params_int4(p, -2)
        C.params_int8(p, 3)
        C.params_bool(p, true)
        C.params_chars(p, 'cd', 1)
        C.params_xids(p, ffi.new('uint32_t[1]', 7), 1)
      end))
  end)
  it('tell an empty text and 0 from none', function()
    assert.are.same({ '25 1 ', '25 1 NULL', '20 1 0000000000000000', '20 1 NULL' },
      sealed(function(p)
        C.params_text(p, '')
        C.params_text(p, nil)
        C.params_natural(p, 0)
        C.params_natural(p, -1)
      end))
  end)
  it('are none again once they are cleared', function()
    assert.are.same({ '25 1 62' }, sealed(function(p)
      C.params_text(p, ('a'):rep(100000))
      C.params_clear(p)
      C.params_text(p, 'b')
    end))
  end)
end)
