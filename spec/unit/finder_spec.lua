-- Whatever valid Lua a pipeline is written in, it is not refused for the sake of
-- finding its lines.
local bundles = require 'spec.unit.bundles'
local generator = require 'spec.unit.lua_generator'
local outline = require 'tidemill.load.outline'

local SEED, CASES = tonumber(os.getenv('SEED')) or 20261129, tonumber(os.getenv('CASES')) or 100

-- What plain Lua makes of the files: nothing of the finder takes part.
local function check_generated(files)
  local function give(t) return t end
  local env = { pairs = pairs, select = select, pipeline = give, projection = give, kafka = give, postgres = give }
  for name, text in pairs(files) do
    local chunk = assert(load(text, '@' .. name, 't', setmetatable(env, { __newindex = function(_, k) error('sets ' .. k) end })))
    assert(type(chunk()) == 'table')
  end
end

local function text_of(files)
  local parts = {}
  for name, text in pairs(files) do parts[#parts + 1] = '---- ' .. name .. '\n' .. text:gsub('\r', '\n') end
  return table.concat(parts, '\n')
end

local function columns_of(p, is_literal)
  local out = {}
  for i, column in ipairs(p.columns) do out[i] = column.name .. ' ' .. column.type end
  if not is_literal then table.sort(out) end
  return table.concat(out, ', ')
end

local function run_case(files, expected)
  check_generated(files)
  local plan = bundles.plan(files)
  for i, says in ipairs(expected) do
    local p = plan.projections[i]
    if not says.is_literal then table.sort(says.columns) end
    assert(p.table == says.table)
    local have, want = columns_of(p, says.is_literal), table.concat(says.columns, ', ')
    assert(have == want, have .. ' instead of ' .. want)
  end
end

local FOLD = "projection { table = 'a', key = { id = 'bigint' }, columns = { n = 'bigint' }, %s on = function(row) row.n = 1 end }"

-- What [text] above a pipeline changes about its loading.
local function refusal_below(text, more)
  return bundles.refusal(text .. bundles.pipeline(FOLD:format(more or '')))
end

describe('a pipeline in any valid Lua', function()
  it('may have a variable with the name of a field around it', function()
    assert.is_nil(bundles.refusal("local function day(event) return event.data.day end\n"
      .. bundles.pipeline("projection { table = 'a', key = { day = { 'date', from = day } }, columns = { n = 'bigint' }, on = function() end }")))
    assert.is_nil(refusal_below('local initial = { n = 1 } local columns = { columns = initial, initial = initial }\n', 'initial = initial,'))
  end)

  it('may be as deep, as long and as wide as Lua takes it', function()
    local texts = {
      deep = 'local t = ' .. ('{'):rep(190) .. ('}'):rep(190), parentheses = 'local t = ' .. ('('):rep(190) .. '1' .. (')'):rep(190),
      functions = 'local f = ' .. ('function() return '):rep(90) .. '1 ' .. ('end '):rep(90),
      wide = 'local t t = { ' .. ("{ a = 1, 'b', [3] = t },"):rep(20000) .. ' }', ['one line'] = 'local t = { ' .. ("'x', "):rep(150000) .. ' }',
      text = 'local t = [==[' .. ('return projection { ]] '):rep(20000) .. ']==]', comment = '--[[' .. ('[[ { '):rep(100000) .. ']]',
      name = 'local ' .. ('n'):rep(100000) .. ' = {}', numbers = 'local t = { ' .. ('1.5e3;'):rep(100000) .. ' }',
    }
    for name, text in pairs(texts) do assert.is_nil(refusal_below(text .. '\n'), name) end
  end)

  it('may reach tables that are linked to any depth, or to themselves', function()
    assert.is_nil(bundles.refusal('local list = {} list.list = list for i = 1, 1e5 do list = { next = list, day = list } end\n'
      .. bundles.pipeline("projection { table = 'a', append = true, columns = { n = 'bigint' }, on = function(row) row.n = list and 1 end }")))
  end)

  it('is refused with a place where a table in it has no end', function()
    for text, says in pairs {
      ["local c = {} c.c = c\n"] = 'a table for JSON is nested deeper than 64', ['local c = { 1, a = 1 }\n'] = 'either names or numbers',
    } do
      local said = bundles.refusal(text .. bundles.pipeline("projection { table = 'a', key = { id = 'bigint' }, columns = { doc = 'jsonb' },\n"
        .. ' initial = { doc = c }, on = function() end }'))
      assert.is_truthy(said:find("^pipeline.lua:6: projection 'a': initial.doc cannot be used: "), said)
      assert.is_truthy(said:find(says, 1, true), said)
    end
    for _, name in ipairs { 'key', 'columns', 'on', 'topics', 'ignore', 'examples', 'once', 'merge' } do
      local said = refusal_below('local c = { 1 } c.c, c[1] = c, c\n', name .. ' = c,')
      assert.is_truthy(said and said:find('^pipeline.lua:[15]: '), name .. ': ' .. tostring(said))
      assert.is_nil(said:find('overflow', 1, true), said)
    end
  end)

  it('is refused in words of a readable length, however long its names are', function()
    local said = refusal_below("local c = { [('x'):rep(5e5)] = ('y'):rep(5e5) }\n", 'once = c,')
    assert.is_truthy(said:find('^pipeline.lua:5: '), said:sub(1, 100))
    assert.is_true(#said < 10000)
  end)

  it('is loaded, and refused without a line, where the finder fails', function()
    local read = outline.read
    local function check(broken)
      outline.read = broken
      local ok, reason = pcall(function()
        assert.is_nil(refusal_below(''))
        local said = refusal_below('', '\nnothing = 1,')
        assert.is_truthy(said:find("^pipeline.lua:%d+: projection 'a': unknown key 'nothing'"), said)
        assert.is_truthy(bundles.refusal('return {}'):find('^pipeline.lua:1: the file must return pipeline'))
      end)
      outline.read = read
      if not ok then error(reason, 0) end
    end
    check(function() error('injected') end)
    check(function() return { calls = setmetatable({}, { __index = function() error('injected') end }) } end)
    check(function(text)
      local made = read(text)
      for _, calls in pairs(made.calls) do
        for _, node in ipairs(calls) do node.fields, node.list = setmetatable({}, { __index = error }), nil end
      end
      return made
    end)
    check(function() return nil end)
    check(function()
      local function deeper() return deeper() + 1 end
      return deeper()
    end)
  end)

  it(('is loaded as it says, with columns in order: SEED=%d'):format(SEED), function()
    for case = 1, CASES do
      math.randomseed(SEED + case)
      local files, expected = generator.bundle()
      local ok, reason = pcall(run_case, files, expected)
      if not ok then error(('SEED=%d CASES=1: %s\n%s'):format(SEED + case - 1, tostring(reason), text_of(files))) end
    end
  end)
end)
