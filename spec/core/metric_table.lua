-- The table of metrics as runtime/admin/README.md has it, made from the code's: `make
-- docs` writes it there.
local ffi = require 'ffi'
require 'spec.core.flow' -- declares what the headers below stand on
local core = require 'spec.core.core'
local exposition = require 'exposition'
local C = core.lib

core.headers('admin/metrics.h', 'model/plan.h')

local M = { HEAD = '| metric | kind | labels | meaning |\n|---|---|---|---|\n' }

--- Names the tables of a plan with so many projections.
function M.name_tables(page, names)
  local projections = ffi.new('struct plan_projection[?]', #names)
  for i, name in ipairs(names) do projections[i - 1].table = name end
  local plan = ffi.new('struct plan')
  plan.projections, plan.n_projections = projections, #names
  C.page_name_tables(page, plan)
end

--- Two workers, two tables and the lanes of [topic], 'orders' unless said.
function M.new_page(topic)
  local page = ffi.gc(C.page_new(2), C.page_free)
  page.started_usec = C.clock_usec()
  for i = 0, 1 do assert(C.page_lane(page, topic or 'orders', i) ~= nil) end
  M.name_tables(page, { 'balances', 'ledger' })
  return page
end

--- What metrics_write or status_write makes of a page.
function M.written(write, page)
  local out = ffi.gc(ffi.new('struct buf'), C.buf_close)
  local view = ffi.new('struct admin_view', { page, 'shop', 'f00d', '1.0', 'here' })
  write(view, out)
  return ffi.string(out.data, out.len)
end

function M.metrics(page) return M.written(C.metrics_write, page) end

--- Its lines, below the head.
function M.lines()
  local lines = {}
  for _, f in ipairs((exposition.read(M.metrics(M.new_page())))) do
    local labels = {}
    for i, label in ipairs(f.samples[1].labels) do
      if label[1] ~= 'le' then labels[i] = label[1] end
    end
    lines[#lines + 1] = ('| `%s` | %s | %s | %s |'):format(f.name, f.type,
      table.concat(labels, ', '), f.help):gsub('  +', ' ')
  end
  return table.concat(lines, '\n')
end

return M
