-- Writes the wrong pipelines of spec/fixtures as inputs of the target `pipeline`:
-- luajit spec/fuzz/seeds.lua FOLDER, from the root of the tree.
package.path = 'spec/support/?.lua;' .. package.path

local PIECE_END = '\030' -- input.h

for _, case in ipairs(require('wrong').cases()) do
  local module = case.files['projections/balances.lua']
  local file = assert(io.open(arg[1] .. '/' .. case.name, 'wb'))
  file:write((case.files['pipeline.lua']:gsub('projections%.balances', 'projections.p')))
  if module then file:write(PIECE_END, module) end
  file:close()
end
