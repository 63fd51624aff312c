-- The layer rule: luajit layers.lua. A file of runtime/ includes headers of
-- lower layers, of its own room and of lower floors of its own folder only, and an
-- outside library is seen by its one home. A unit is a header x.h, x.c, x_part.h for
-- its own files alone, and each x_*.c without a header of its own; inside a room units
-- include each other in one direction. Also the limits on size, of the C files of spec
-- too: 500 lines a file, 60 a function.

local LAYERS = {
  base = 0, model = 1, decode = 2, kafka = 2, postgres = 2, lua = 2, flow = 3,
  admin = 3, supervise = 4, cli = 5,
}
local MAIN_LAYER = 5
-- Inside a folder; its own files are on floor 0.
local FLOORS = {
  ['decode/json'] = 1, ['decode/value'] = 2, ['decode/envelope'] = 3,
  ['postgres/sql'] = 1, ['postgres/wire'] = 2, ['postgres/store'] = 3,
  ['postgres/operator'] = 4,
  ['flow/lane'] = 1, ['flow/show'] = 2, ['flow/database'] = 3, ['flow/waits'] = 3,
  ['flow/rows'] = 4, ['flow/table'] = 5, ['flow/publish'] = 5,
  ['flow/generation'] = 6, ['flow/worker'] = 7, ['flow/batch'] = 8,
  ['flow/halt'] = 9, ['flow/claim'] = 10, ['flow/letters'] = 10, ['flow/run'] = 11,
  ['flow/engine'] = 12, ['flow/dry'] = 12,
  ['cli/check'] = 1, ['cli/dev'] = 1, ['cli/init'] = 1,
  ['cli/operator'] = 1, ['cli/send'] = 1,
}
-- Rooms of scripts/tidemill; those who open them all stand beside them.
local ROOMS = { core = 1, run = 2, load = 3, plan = 4, inspect = 6, testing = 6 }
local ABOVE_PLAN = 5
local HOMES = {
  ['ev.h'] = { base = true },
  ['simdjson.h'] = { decode = true },
  ['librdkafka/rdkafka.h'] = { kafka = true },
  ['librdkafka/rdkafka_mock.h'] = { kafka = true },
  ['libpq-fe.h'] = { postgres = true },
  ['lua.h'] = { lua = true }, ['lauxlib.h'] = { lua = true },
  ['lualib.h'] = { lua = true },
  ['luajit.h'] = { lua = true }, ['lua.hpp'] = { lua = true },
  ['microhttpd.h'] = { admin = true },
}
local MAX_FILE, MAX_FUNCTION = 500, 60
local n_problems = 0
local function problem(file, line, ...)
  n_problems = n_problems + 1
  print(('%s:%d: %s'):format(file, line, string.format(...)))
end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

local function check_own(file, n, room, header)
  local folder, other_room = room:match('^%w+'), header:match('^(.*)/')
  local other = header:match('^%w+')
  if not LAYERS[other] or not other_room then
    return problem(file, n, 'include "%s" by its path below runtime/', header)
  end
  if other ~= folder and LAYERS[other] >= (LAYERS[folder] or MAIN_LAYER + 1) then
    problem(file, n, '%s/ is layer %d and may not include %s (layer %d)', folder,
      LAYERS[folder], header, LAYERS[other])
  end
  local floor, other_floor = FLOORS[room] or 0, FLOORS[other_room] or 0
  if other == folder and other_room ~= room and other_floor >= floor then
    problem(file, n, '%s/ is floor %d and may not include %s (floor %d)', room, floor,
      header, other_floor)
  end
end

-- [unit] = list of the units that it includes; a list of units.
local includes, units = {}, {}

local headers = {} -- of files, without their ending

local function unit_of(stem)
  local unit = stem:gsub('_part$', '')
  while unit and not headers[unit] do unit = unit:match('^(.*)_[^_/]*$') end
  return unit or stem
end

local function includes_of(unit)
  if not includes[unit] then
    includes[unit], units[#units + 1] = {}, unit
  end
  return includes[unit]
end

local function check_file(file)
  local room = file:match('^runtime/(.*)/') or 'main'
  local folder = room:match('^%w+')
  local unit = unit_of(file:match('^runtime/(.*)%.%w+$'))
  local n, list = 0, includes_of(unit)
  for line in io.lines(file) do
    n = n + 1
    local own = line:match('^%s*#%s*include%s+"([^"]+)"')
    local outside = line:match('^%s*#%s*include%s+<([^>]+)>')
    if own then
      check_own(file, n, room, own)
      local other = unit_of(own:match('^(.*)%.%w+$'))
      list[#list + 1] = other
      if own:match('_part%.h$') and other ~= unit then
        problem(file, n, '%s is for the files of %s.h alone', own, other)
      end
    end
    if outside and HOMES[outside] and not HOMES[outside][folder] then
      problem(file, n, '<%s> has its home elsewhere', outside)
    end
  end
  if n > MAX_FILE then
    problem(file, n, '%d lines: split it by noun (limit %d)', n, MAX_FILE)
  end
end

local function check_script(file)
  local room = file:match('^scripts/tidemill/(%w+)/')
  local floor, n = ROOMS[room] or 7, 0
  for line in io.lines(file) do
    n = n + 1
    local name = line:match("require *%(?'tidemill%.([%w_.]+)'")
    local other = name and name:match('^(%w+)%.')
    local other_floor = ROOMS[other] or ABOVE_PLAN
    -- The host is the program itself.
  if name and name ~= 'host' and other ~= room and other_floor >= floor then
      problem(file, n, '%s/ is floor %d and may not require %s (floor %d)', room, floor,
        name, other_floor)
    end
  end
end

local function report_circle(circle)
  table.sort(circle)
  problem('runtime/' .. (circle[1]:match('^(.*)/') or 'main'), 1,
    '%d units in a circle of includes: %s', #circle, table.concat(circle, ' '))
end

-- Tarjan: each set of units of which every one is reached from every other.
local function check_circles()
  local number, lowest, n, stack, is_open = {}, {}, 0, {}, {}
  local function visit(unit)
    n = n + 1
    number[unit], lowest[unit], is_open[unit], stack[#stack + 1] = n, n, true, unit
    for _, other in ipairs(includes[unit]) do
      if includes[other] and not number[other] then visit(other) end
      if is_open[other] then lowest[unit] = math.min(lowest[unit], lowest[other]) end
    end
    if lowest[unit] < number[unit] then return end
    local circle = {}
    repeat
      circle[#circle + 1] = table.remove(stack)
      is_open[circle[#circle]] = nil
    until circle[#circle] == unit
    if #circle > 1 then report_circle(circle) end
  end
  for _, unit in ipairs(units) do
    if not number[unit] then visit(unit) end
  end
end

local function check_functions()
  local tags = lines_of('ctags -f - --sort=no --fields=+ne --kinds-c=f ' ..
    '--kinds-c++=f --languages=C,C++ -R runtime spec 2>/dev/null')
  for _, tag in ipairs(tags) do
    local name, file = tag:match('^(%S+)\t(%S+)\t')
    local from, to = tag:match('\tline:(%d+)'), tag:match('\tend:(%d+)')
    if from and to and to - from + 1 > MAX_FUNCTION then
      problem(file, from, 'function %s has %d lines (limit %d)', name, to - from + 1,
        MAX_FUNCTION)
    end
  end
end

local sources = lines_of("find runtime -name '*.[ch]' -o -name '*.cc' | sort")
for _, file in ipairs(sources) do
  local stem = file:match('^runtime/(.*)%.h$')
  if stem and not stem:match('_part$') then headers[stem] = true end
end
for _, file in ipairs(sources) do check_file(file) end
for _, file in ipairs(lines_of("find scripts/tidemill -name '*.lua'")) do
  check_script(file)
end
for _, file in ipairs(lines_of(
  "find scripts spec examples -name '*.lua' -o -name '*.[ch]'")) do
  local n = 0
  for _ in io.lines(file) do n = n + 1 end
  if n > MAX_FILE then problem(file, n, '%d lines (limit %d)', n, MAX_FILE) end
end
check_circles()
check_functions()
os.exit(n_problems == 0 and 0 or 1)
