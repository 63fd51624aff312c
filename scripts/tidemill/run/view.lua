-- Views of events: 8 to 16 bytes that name an event, never a pointer, so a
-- view that a script keeps raises instead of reading another event or memory
-- that is gone.
--
-- [now] says which event may be read: {batch, rows, serial}. Its serial grows
-- with every handler call, and a view holds the serial that it was made with. It is a
-- double: 32 bits would begin again within hours.
--
-- Results in parentheses are no tail calls: a trace may hold 15 of those only,
-- and a handler that reads many fields has to fit into one.
local ffi = require 'ffi'
local core = require 'tidemill.core.api'
local kinds = require 'tidemill.core.kinds'
local path_of = require 'tidemill.core.path'
local protected = require 'tidemill.core.protected'
local value = require 'tidemill.core.value'
local words = require 'tidemill.core.words'

local M = {}

local C = core.C
local INDEX, SERIAL = core.field 'index', core.field 'serial'
local NODE = core.field 'node'
local OTHER = C.TM_TYPE_OTHER
local OBJECT, ARRAY, MISSING = C.TM_OBJECT, C.TM_ARRAY, C.TM_MISSING
local CROWDED, LOOSE, UNREADABLE = C.TM_CROWDED, C.TM_LOOSE, C.TM_UNREADABLE
local scalar = value.scalar
local ROOTS = { data = C.TM_NODE_DATA, before = C.TM_NODE_BEFORE, after = C.TM_NODE_AFTER,
  key = C.TM_NODE_KEY, source = C.TM_NODE_SOURCE }

local OPS = {}
for letter in ('cudrtm'):gmatch('.') do OPS[letter:byte()] = letter end

---@return table|nil the plain table of an object view
function M.table_of(x)
  local kind = kinds.of(x)
  return kind and kind.table and kind.table(x)
end

value.raw_of = function(x)
  local kind = kinds.of(x)
  if kind and kind.raw then return kind.raw(x) end
end

local function stale()
  protected.raise('stale event: a view is only good during the call it was handed to; '
    .. 'keep the values you need instead')
end

-- The core has marked the record that cannot be read, which need not be this one.
local function unread(batch)
  protected.raise(ffi.string(batch.error))
end

local function new_now()
  return ffi.new([[
    struct { struct tm_batch *batch; struct tm_rows *rows; double serial; }]])
end

local function no_assignment(_, name)
  error("event fields cannot be assigned (field '" .. tostring(name) .. "')", 0)
end

-- Node numbers belong to one decoder, so every pipeline has a set of its own. A
-- field without a column has a number from LOOSE on instead, for one call (tm_field).
local function new_nodes(now, is_written)
  local nodes = {} -- [parent][name] -> node

  local function fault(node)
    if C.tm_column(now.batch, node) < 0 then unread(now.batch) end
  end

  local function learn(index, parent, name)
    if type(name) ~= 'string' then
      error(('fields of events have names: %s is none (of an array inside take '
        .. 'view:table())'):format(kinds.name_of(name)), 0)
    end
    local batch = now.batch
    local node = C.tm_field(batch, index, parent, name, #name, 0)
    if node == CROWDED then
      node = C.tm_field(batch, index, parent, name, #name, is_written(name) and 1 or -1)
    end
    if node < 0 then unread(batch) end
    if node >= LOOSE then return node end
    nodes[parent] = nodes[parent] or {}
    nodes[parent][name] = node
    return node
  end

  local function child(index, parent, name)
    local names = nodes[parent]
    local node = names and names[name]
    if node then return node end
    return (learn(index, parent, name))
  end

  local function cell(index, node)
    local batch = now.batch
    if node >= batch.n_nodes or batch.columns[node] == nil then
      if node >= LOOSE then return C.tm_loose(batch, index, node)[0] end
      fault(node)
    end
    return now.batch.columns[node][index]
  end

  for _, node in pairs(ROOTS) do nodes[node] = {} end
  return { child = child, cell = cell }
end

-- Fields of objects.
local function new_object(now, nodes)
  local view_t = core.new_type('double serial; uint32_t index; int32_t node;')
  local child, cell_of = nodes.child, nodes.cell
  local cache, cache_serial, cache_index = {}, 0, 0

  local function cached(index, node)
    if cache_serial ~= now.serial or cache_index ~= index then
      cache, cache_serial, cache_index = {}, now.serial, index
    end
    local t = cache[node]
    if not t then
      t = value.table(now.batch, cell_of(index, node))
      cache[node] = t
    end
    return t
  end

  local function read(index, node)
    local cell = cell_of(index, node)
    local tag = cell.tag
    if tag == OBJECT then return view_t(now.serial, index, node) end
    if tag == ARRAY then return (cached(index, node)) end
    return (scalar(cell))
  end

  local function table_of(view)
    if view[SERIAL] ~= now.serial then stale() end
    return cached(view[INDEX], view[NODE])
  end

  local function raw(view)
    if view[SERIAL] ~= now.serial then stale() end
    local cell = cell_of(view[INDEX], view[NODE])
    return ffi.string(cell.p, cell.len), cell.tag
  end

  local function index(view, name)
    if view[SERIAL] ~= now.serial then stale() end
    return (read(view[INDEX], child(view[INDEX], view[NODE], name)))
  end

  ffi.metatype(view_t, {
    __index = index,
    __newindex = no_assignment,
    __tostring = function(view) return (raw(view)) end,
    __eq = rawequal,
  })
  kinds.add(view_t, { name = 'an object of an event', table = table_of, raw = raw })
  return read, cached
end

local function new_headers(now)
  local headers_t = core.new_type('uint32_t index; double serial;')
  local out = ffi.new('struct tm_cell')

  local function header(index, name)
    if type(name) ~= 'string' then error('headers have names', 0) end
    if C.tm_header(now.batch, index, name, #name, out) < 0 then
      error(ffi.string(now.batch.error), 0)
    end
    return out
  end

  local function refuse()
    error('headers are read by name: event.headers.name', 0)
  end

  ffi.metatype(headers_t, {
    __index = function(view, name)
      if view[SERIAL] ~= now.serial then stale() end
      return (scalar(header(view[INDEX], name)))
    end,
    __newindex = no_assignment,
    __tostring = function() return 'headers' end,
    __eq = rawequal,
  })
  kinds.add(headers_t, { name = 'headers', table = refuse, raw = refuse })
  return headers_t, header
end

-- What event.<name> is, as functions of the event's index.
local function new_fields(now, read, headers_t)
  local out = ffi.new('struct tm_cell')
  local names = {} -- type number -> name

  local function meta(index, what)
    if C.tm_meta(now.batch, index, what, out) < 0 then unread(now.batch) end
    return out
  end

  local function simple(what)
    return function(index) return (scalar(meta(index, what))) end
  end

  local function type_name(number)
    local len = ffi.new('size_t[1]')
    local p = C.tm_type_name(now.batch, number, len)
    local name = p ~= nil and ffi.string(p, len[0]) or false
    names[number] = name
    return name
  end

  return {
    data = function(index) return (read(index, ROOTS.data)) end,
    before = function(index) return (read(index, ROOTS.before)) end,
    after = function(index) return (read(index, ROOTS.after)) end,
    source = function(index) return (read(index, ROOTS.source)) end,
    key = function(index)
      local cell = meta(index, C.TM_META_KEY)
      if cell.tag == OBJECT then return (read(index, ROOTS.key)) end
      return (scalar(cell))
    end,
    type = function(index)
      local number = now.batch.types[index]
      local name = names[number]
      if name == nil then
        if number == OTHER then return (scalar(meta(index, C.TM_META_TYPE))) end
        name = type_name(number)
      end
      return name or nil
    end,
    op = function(index) return OPS[now.batch.ops[index]] end,
    headers = function(index) return headers_t(index, now.serial) end,
    id = simple(C.TM_META_ID),
    time = simple(C.TM_META_TIME),
    topic = simple(C.TM_META_TOPIC),
    partition = simple(C.TM_META_PARTITION),
    offset = simple(C.TM_META_OFFSET),
  }
end

local WORDS = { 'key', 'type', 'id', 'time', 'op', 'data', 'before', 'after', 'source',
  'headers', 'topic', 'partition', 'offset', 'has' }

---@return string|nil why an event has no such word
function M.why_unknown(name)
  if words.has(WORDS, name) then return nil end
  local nearest = words.nearest(tostring(name), WORDS)
  return ("an event has no field '%s': %s"):format(tostring(name), nearest
    and ("did you mean '%s'?"):format(nearest) or 'it has ' .. table.concat(WORDS, ', ')
    .. '; fields of the record are in event.data')
end

local function no_path(path, reason)
  error(("event:has('%s'): %s"):format(tostring(path), reason or 'a path begins with '
    .. 'data, before, after, key, source or headers'), 0)
end

-- The steps of a path, the root's node first; names of headers may have points.
local function read_steps(path)
  local name = tostring(path):match('^headers%.(.+)$')
  if name then return { 'headers', name } end
  local steps, reason = path_of.read(tostring(path))
  if not steps and not reason then -- of a name that is empty, all before it is asked
    steps = path_of.read((tostring(path):gsub('%.+', '.'):gsub('%.$', '')))
  end
  if not steps then no_path(path, reason) end
  if steps[1] == 'headers' and (#steps ~= 2 or type(steps[2]) ~= 'string') then
    no_path(path, "a header has a name: event:has('headers.name')")
  elseif steps[1] ~= 'headers' and not ROOTS[steps[1]] then
    no_path(path)
  end
  return steps
end

-- Scripts write few paths; those that they compute may be any number.
local MOST_PATHS = 256

local function new_steps()
  local known, n = {}, 0
  return function(path)
    local steps = known[path]
    if not steps then
      if n == MOST_PATHS then known, n = {}, 0 end
      steps = read_steps(path)
      known[path], n = steps, n + 1
    end
    return steps
  end
end

-- Behind an item everything is plain tables.
local function is_inside(t, steps, at)
  for i = at, #steps - 1 do
    t = type(t) == 'table' and t[steps[i]] or nil
  end
  return type(t) == 'table' and value.has(t, steps[#steps])
end

-- event:has('data.x'): false only when the record has no such field.
local function new_has(now, nodes, header, event_t, table_of)
  local steps_of = new_steps()
  return function(event, path)
    if not ffi.istype(event_t, event) then
      error("has is asked of an event: write event:has('data.x'), with a colon", 0)
    end
    if event[SERIAL] ~= now.serial then stale() end
    local steps, index = steps_of(path), event[INDEX]
    local root = steps[1]
    if root == 'headers' then return header(index, steps[2]).tag ~= MISSING end
    local node = ROOTS[root]
    for i = 2, #steps do
      if type(steps[i]) == 'number' then
        local cell = nodes.cell(index, node)
        if cell.tag == UNREADABLE then scalar(cell) end -- which raises
        return cell.tag == ARRAY and is_inside(table_of(index, node), steps, i)
      end
      node = nodes.child(index, node, steps[i])
    end
    local tag = nodes.cell(index, node).tag
    if tag == UNREADABLE then scalar(nodes.cell(index, node)) end -- which raises
    if tag == MISSING and root == 'key' then scalar(nodes.cell(index, ROOTS.key)) end
    return tag ~= MISSING
  end
end

---@param is_written fun(name: string): boolean is the name in the text of a script?
---@return table { now, event_t, new_now } for one pipeline
function M.new(is_written)
  local now = new_now()
  local nodes = new_nodes(now, is_written)
  local read, table_of = new_object(now, nodes)
  local headers_t, header = new_headers(now)
  local fields = new_fields(now, read, headers_t)
  local event_t = core.new_type('uint32_t index; double serial;')
  local has = new_has(now, nodes, header, event_t, table_of)

  local function unknown(name) error(M.why_unknown(name), 0) end

  ffi.metatype(event_t, {
    __index = function(event, name)
      if event[SERIAL] ~= now.serial then stale() end
      local field = fields[name]
      if field then return (field(event[INDEX])) end
      if name == 'has' then return has end
      return unknown(name)
    end,
    __newindex = no_assignment,
    __tostring = function() return 'event' end,
    __eq = rawequal,
  })
  kinds.add(event_t, { name = 'an event', has = has })
  return { now = now, event_t = event_t, new_now = new_now }
end

return M
