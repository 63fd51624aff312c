-- PostgreSQL for specs, by libpq: every value comes back as text, NULL as nil.
local ffi = require 'ffi'

ffi.cdef [[
typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;
PGconn *PQconnectdb(const char *);
void PQfinish(PGconn *);
int PQstatus(const PGconn *);
char *PQerrorMessage(const PGconn *);
PGresult *PQexec(PGconn *, const char *);
int PQresultStatus(const PGresult *);
char *PQresultErrorMessage(const PGresult *);
int PQntuples(const PGresult *);
int PQnfields(const PGresult *);
char *PQfname(const PGresult *, int);
char *PQgetvalue(const PGresult *, int, int);
int PQgetisnull(const PGresult *, int, int);
int PQgetlength(const PGresult *, int, int);
void PQclear(PGresult *);
]]

local CONNECTION_OK, COMMAND_OK, TUPLES_OK = 0, 1, 2
local loaded, pq = pcall(ffi.load, 'pq')
if not loaded then pq = ffi.load('libpq.so.5') end

local M = {}
local Connection = {}
Connection.__index = Connection

---@param url string
function M.connect(url)
  local handle = ffi.gc(pq.PQconnectdb(url), pq.PQfinish)
  if pq.PQstatus(handle) ~= CONNECTION_OK then
    return nil, ffi.string(pq.PQerrorMessage(handle))
  end
  return setmetatable({ handle = handle, url = url }, Connection)
end

--- All rows of a query, each a table by column name.
function Connection:rows(sql)
  local result = ffi.gc(pq.PQexec(self.handle, sql), pq.PQclear)
  local status = pq.PQresultStatus(result)
  if status ~= TUPLES_OK and status ~= COMMAND_OK then
    error(ffi.string(pq.PQresultErrorMessage(result)) .. 'in: ' .. sql:sub(1, 300), 2)
  end
  local names, rows = {}, {}
  for column = 0, pq.PQnfields(result) - 1 do
    names[column] = ffi.string(pq.PQfname(result, column))
  end
  for i = 0, pq.PQntuples(result) - 1 do
    local row = {}
    for column = 0, #names do
      if names[column] and pq.PQgetisnull(result, i, column) == 0 then
        row[names[column]] = ffi.string(pq.PQgetvalue(result, i, column),
          pq.PQgetlength(result, i, column))
      end
    end
    rows[i + 1] = row
  end
  return rows
end

--- The first column of the first row, or nil.
function Connection:value(sql)
  local rows = self:rows(sql)
  local _, value = next(rows[1] or {})
  return value
end

function Connection:number(sql)
  return tonumber(self:value(sql))
end

--- Rows by the text of one column.
function Connection:by(column, sql)
  local map = {}
  for _, row in ipairs(self:rows(sql)) do map[row[column]] = row end
  return map
end

function Connection:close()
  ffi.gc(self.handle, nil)
  pq.PQfinish(self.handle)
end

--- The same URL with another role in it.
function M.as(role, url)
  return (url:gsub('^(%w+://)[^@/]*@', '%1' .. role .. '@', 1))
end

--- A new, empty database on the run's server; its URL and a connection, both of
--- its superuser.
function M.create(name)
  local base = os.getenv('TIDEMILL_PG')
  local admin = assert(M.connect(base .. '/postgres'))
  admin:rows('CREATE DATABASE ' .. name)
  admin:close()
  local url = base .. '/' .. name
  return url, assert(M.connect(url))
end

return M
