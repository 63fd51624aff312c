local core = require 'spec.core.core'
local C = core.lib

core.headers('base/err.h', 'postgres/sqlstate.h')

describe('sqlstate_class', function()
  local cases = {
    [C.ERR_FENCED] = { 'TM001' },
    [C.ERR_CONFLICT] = { 'TM002', '40001', '40P01', '55P03', '55006', '26000' },
    [C.ERR_CONNECTION] = { '', '08000', '08006', '40003', '57P01', '57P02', '57P03',
      '57P05', '25P03' },
    [C.ERR_RESOURCE] = { '53100', '53200', '53300', '57014', '58030' },
    [C.ERR_SERVER] = { '25006' },
    [C.ERR_DATA] = { '21000', '22003', '22P02', '23502', '23505', '54000', 'P0001' },
    [C.ERR_SCHEMA] = { '42P01', '42703', '3F000', '0A000', 'XX000', 'XX001', 'ZZ999' },
    [C.ERR_CONFIG] = { '28000', '28P01', '3D000', '42501', '57P04' },
  }
  for class, states in pairs(cases) do
    for _, state in ipairs(states) do
      it(("'%s' is class %d"):format(state, tonumber(class)), function()
        assert.are.equal(tonumber(class), tonumber(C.sqlstate_class(state)))
      end)
    end
  end

  it('takes no code at all for a lost connection', function()
    assert.are.equal(tonumber(C.ERR_CONNECTION), tonumber(C.sqlstate_class(nil)))
  end)
end)
