-- Times that handlers make of numbers: seconds(x), millis(x), micros(x),
-- nanos(x), days(x). A number alone has no unit; what these give has one, and
-- goes into a column of any time type. Exact to the microsecond.
local ffi = require 'ffi'
local core = require 'tidemill.core.api'
local decimal = require 'tidemill.core.decimal'
local kinds = require 'tidemill.core.kinds'

local M = {}

local C = core.C
local istype = ffi.istype
local USEC = core.field 'usec'
local moment_t = core.new_type('const int64_t usec;')
kinds.add(moment_t, { name = 'a time' })
local usec_out, text_out = ffi.new('int64_t[1]'), ffi.new('char[64]')

local function is(x)
  return istype(moment_t, x)
end

---@return string ISO 8601 in UTC
local function format(x)
  return ffi.string(text_out, C.tm_time_format(x[USEC], text_out))
end

local function refuse(name, x)
  local kind = type(x)
  local what = kind == 'nil' and 'is nil: look first whether the field is there'
    or is(x) and 'is a time already'
    or kind == 'string' and ('is a text: a text of ISO 8601 is assigned as it is, and of '
      .. 'digits write %s(decimal(x))'):format(name)
    or 'is ' .. kinds.name_of(x)
  error(('%s(x): x %s'):format(name, what), 0)
end

local function exact(name, x)
  if not decimal.is_numeric(x) then refuse(name, x) end
  if type(x) == 'number' and (x ~= x or x == math.huge or x == -math.huge) then
    error(('%s(x): x is %s, and no time'):format(name, tostring(x)), 0)
  end
  return decimal.from(x)
end

local function moment(name, x, digits)
  if C.tm_time_of(x, digits, usec_out) < 0 then
    error(('%s(x): %s is outside the years 0001 to 294246'):format(name,
      decimal.format(x)), 0)
  end
  return moment_t(usec_out[0])
end

local function unit(name, digits)
  return function(x) return (moment(name, exact(name, x), digits)) end
end

local function days(x)
  local d = exact('days', x)
  if d ~= decimal.globals.round(d) then
    error(('days(x): %s has a fraction'):format(decimal.format(d)), 0)
  end
  return (moment('days', d * 86400, 0))
end

-- Between times, as numbers are compared; any other value is another one.
local function order(a, b)
  if not is(a) or not is(b) then
    error('a time is compared with another one: write millis(event.time) and the like', 0)
  end
  return a[USEC], b[USEC]
end

local function no_arithmetic()
  error('a time cannot be reckoned with: do it with the number, then write '
    .. 'millis(…) around it', 0)
end

ffi.metatype(moment_t, {
  __tostring = format,
  __eq = function(a, b) return is(a) and is(b) and a[USEC] == b[USEC] end,
  __lt = function(a, b)
    local x, y = order(a, b)
    return x < y
  end,
  __le = function(a, b)
    local x, y = order(a, b)
    return x <= y
  end,
  __concat = function(a, b) return tostring(a) .. tostring(b) end,
  __add = no_arithmetic, __sub = no_arithmetic, __mul = no_arithmetic,
  __div = no_arithmetic, __mod = no_arithmetic, __pow = no_arithmetic,
  __unm = no_arithmetic, __len = no_arithmetic,
  __index = function(_, name)
    error("a time has no field '" .. tostring(name) .. "'", 0)
  end,
  __newindex = function() error('a time cannot be changed', 0) end,
})

M.is, M.format = is, format
---@return integer microseconds since 1970, an int64
M.usec = function(x) return x[USEC] end
M.zero = moment_t(0)

-- What handlers get as globals.
M.globals = {
  seconds = unit('seconds', 0), millis = unit('millis', 3), micros = unit('micros', 6),
  nanos = unit('nanos', 9), days = days,
}

return M
