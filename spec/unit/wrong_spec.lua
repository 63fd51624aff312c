-- Pipelines as people write them wrongly, each a bundle in spec/fixtures/wrong.
-- What is to be said of it stands at the head of its pipeline.lua, a line for
-- each message ("-- expect: file:line: …"), or in a file `expect` where the
-- pipeline can have no comments.
local boot = require 'tidemill.boot'
local lfs = require 'lfs'

local FOLDER = 'spec/fixtures/wrong'

local function read(path)
  local file = io.open(path, 'rb')
  local text = file and file:read('*a')
  if file then file:close() end
  return text
end

local function names()
  local list = {}
  for name in lfs.dir(FOLDER) do
    if name:sub(1, 1) ~= '.' then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function expected(name)
  local said = read(FOLDER .. '/' .. name .. '/expect')
  if said then return (said:gsub('\n$', '')) end
  local lines = {}
  for line in read(FOLDER .. '/' .. name .. '/pipeline.lua'):gmatch('[^\r\n]+') do
    local text = line:match('^%-%- expect: (.*)$') or line:match('^\239\187\191%-%- expect: (.*)$')
    if not text then break end
    lines[#lines + 1] = text
  end
  return table.concat(lines, '\n')
end

local function without_folder(text, folder)
  return (text:gsub(folder:gsub('%W', '%%%0') .. '/', ''))
end

describe('a wrong pipeline', function()
  local all = names()
  it('is there in more than sixty ways', function()
    assert.is_true(#all > 60)
  end)
  for _, name in ipairs(all) do
    it('is refused: ' .. name, function()
      local folder = FOLDER .. '/' .. name
      local ok, said = xpcall(function() boot.open(folder) end, boot.trace)
      assert.is_false(ok, 'it was loaded')
      assert.are.equal(expected(name), without_folder(said, folder))
    end)
  end
end)

describe('tidemill check of a wrong pipeline', function()
  local function check(name)
    local folder = FOLDER .. '/' .. name
    local pipe = io.popen(('%s check --offline %s 2>&1; echo "status $?"'):format(
      os.getenv('TIDEMILL') or './tidemill', folder))
    local said = pipe:read('*a')
    pipe:close()
    return without_folder(said, folder)
  end
  local some = { 'several', 'several_in_one_file', 'typo_batch_size', 'file_bytecode', 'circle_of_three', 'pure_helper', 'initial_digits' }
  for _, name in ipairs(some) do
    it('prints nothing but what is wrong, and ends with 78: ' .. name, function()
      assert.are.equal(('tidemill: cannot load %s/%s:\n%s\nstatus 78\n'):format(FOLDER, name, expected(name)), check(name))
    end)
  end
end)
