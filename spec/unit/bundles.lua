-- Bundles made on the fly for specs: files in a folder that is removed again.
local boot = require 'tidemill.boot'
local lfs = require 'lfs'
local testing = require 'tidemill.testing'

local M = {}

local HEAD = [[
local source = kafka { brokers = 'b', group = 'g', topics = { 't' }, format = 'outbox' }
local database = postgres { write = 'postgresql://localhost/x' }
]]

-- No shell: there are some hundred bundles.
local function make_folders(folder, below)
  for part in below:gmatch('[^/]+') do
    folder = folder .. '/' .. part
    lfs.mkdir(folder)
  end
end

--- One file more of a bundle.
function M.write(folder, name, text)
  make_folders(folder, name:match('^(.*)/') or '')
  local file = assert(io.open(folder .. '/' .. name, 'wb'))
  file:write(text)
  file:close()
end

local function remove(path)
  if lfs.symlinkattributes(path, 'mode') ~= 'directory' then return os.remove(path) end
  for name in lfs.dir(path) do
    if name ~= '.' and name ~= '..' then remove(path .. '/' .. name) end
  end
  lfs.rmdir(path)
end

--- Calls fn(folder) with the files in it: name -> text.
function M.with(files, fn)
  local folder = os.tmpname()
  os.remove(folder)
  assert(lfs.mkdir(folder))
  for name, text in pairs(files) do M.write(folder, name, text) end
  local results = { pcall(fn, folder) }
  remove(folder)
  if not results[1] then error(results[2], 0) end
  return unpack(results, 2)
end

local function files_of(files)
  return type(files) == 'string' and { ['pipeline.lua'] = files } or files
end

function M.without_folder(text, folder)
  return (text:gsub(folder:gsub('%W', '%%%0') .. '/', ''))
end

--- What loading a bundle says, with the folder taken out; nil when it loads.
function M.refusal(files)
  return M.with(files_of(files), function(folder)
    local ok, reason = xpcall(function() boot.open(folder) end, boot.trace)
    if ok then return nil end
    return M.without_folder(tostring(reason), folder)
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
