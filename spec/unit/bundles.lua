-- Bundles made on the fly for specs: files in a folder that is removed again.
local boot = require 'tidemill.boot'
local testing = require 'tidemill.testing'

local M = {}

local HEAD = [[
local source = kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'outbox' }
local database = postgres { write = 'postgresql://localhost/x' }
]]

local function write(path, text)
  local file = assert(io.open(path, 'w'))
  file:write(text)
  file:close()
end

--- Calls fn(folder) with the files in it: name -> text.
function M.with(files, fn)
  local folder = os.tmpname()
  os.remove(folder)
  os.execute('mkdir -p ' .. folder)
  for name, text in pairs(files) do
    local below = name:match('^(.*)/')
    if below then os.execute('mkdir -p ' .. folder .. '/' .. below) end
    write(folder .. '/' .. name, text)
  end
  local results = { pcall(fn, folder) }
  os.execute('rm -rf ' .. folder)
  if not results[1] then error(results[2], 0) end
  return unpack(results, 2)
end

local function files_of(files)
  return type(files) == 'string' and { ['pipeline.lua'] = files } or files
end

--- What loading a bundle says, with the folder taken out; nil when it loads.
function M.refusal(files)
  return M.with(files_of(files), function(folder)
    local ok, reason = xpcall(function() boot.open(folder) end, boot.trace)
    if ok then return nil end
    return (tostring(reason):gsub(folder:gsub('%W', '%%%0') .. '/', ''))
  end)
end

function M.plan(files)
  return M.with(files_of(files), function(folder)
    return (boot.open(folder))
  end)
end

--- A bundle of the spec kit.
function M.load(files)
  return M.with(files_of(files), testing.load)
end

--- A pipeline with these lines as its projections; source and database stand
--- in lines 1 and 2, the text begins in line 4.
function M.pipeline(projections, source)
  local head = source and HEAD:gsub('local source = [^\n]*', function()
    return 'local source = ' .. source
  end) or HEAD
  return head .. "return pipeline { name = 'x', source = source, database = database, "
    .. 'projections = {\n' .. projections .. '\n} }\n'
end

return M
