-- What to declare for a type of PostgreSQL that Tidemill has not got: what Debezium
-- writes for it fits there. Types with a plain equivalent are in check.lua.
local CAST = ', which is cast to the type of the table\'s column'
local TEXT = "declare 'text'" .. CAST
local JSONB = "declare 'jsonb', which takes it as it comes, or 'text'" .. CAST

local M = {
  interval = "declare 'bigint' (microseconds), or 'text' (with "
    .. 'interval.handling.mode=string)' .. CAST,
  timetz = "declare 'time' (in UTC), or 'text'" .. CAST,
  oid = "declare 'bigint', or 'text'" .. CAST,
  money = "declare 'numeric(19,2)', or 'text'" .. CAST,
  bit = "declare 'boolean' for one bit, 'bytea' or 'text' for more", hstore = JSONB,
}
M['time with time zone'], M.varbit, M['bit varying'] = M.timetz, M.bit, M.bit
for name in ([[bpchar citext name xml inet cidr macaddr macaddr8 ltree tsvector enum
  int4range int8range numrange tsrange tstzrange daterange]]):gmatch('%S+') do
  M[name] = TEXT
end
for name in ([[point line lseg box path polygon circle geometry geography
  vector]]):gmatch('%S+') do
  M[name] = JSONB
end

return M
