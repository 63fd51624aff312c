-- Pipelines as people write them wrongly (spec/support/wrong.lua), and what is said of
-- them, word by word.
local bundles = require 'spec.unit.bundles'
local wrong = require 'wrong'

local cases = wrong.cases()

describe('a right pipeline, which the wrong ones are made of,', function()
  for name, files in pairs(wrong.right()) do
    it('is loaded: ' .. name, function()
      assert.is_nil(bundles.refusal(files))
    end)
  end
end)

describe('a wrong pipeline', function()
  it('is there in more than three hundred ways', function()
    assert.is_true(#cases > 300)
  end)
  for _, case in ipairs(cases) do
    it('is refused: ' .. case.name, function()
      assert.are.equal(case.says, bundles.refusal(case.files))
    end)
  end
end)

describe('tidemill check of a wrong pipeline', function()
  local SOME = { several = true, several_in_one_file = true, typo_batch_size = true,
    file_bytecode = true, circle_of_three = true, pure_helper = true, initial_digits = true }
  local function check(folder)
    local pipe = io.popen(('%s check --offline %s 2>&1; echo "status $?"'):format(
      os.getenv('TIDEMILL') or './tidemill', folder))
    local said = pipe:read('*a')
    pipe:close()
    return said
  end
  for _, case in ipairs(cases) do
    if SOME[case.name] then
      it('prints nothing but what is wrong, and ends with 78: ' .. case.name, function()
        bundles.with(case.files, function(folder)
          assert.are.equal(('tidemill: cannot load %s:\n%s\nstatus 78\n'):format(folder,
            case.says), bundles.without_folder(check(folder), folder))
        end)
      end)
    end
  end
end)

describe('a file of wrong pipelines', function()
  local CHANGE = "-   name = 'bank',\n+   name = 'shop',\n"
  local refused = {
    { 'lines that are not there', "x in bank:\n- name = 'bank',\n+ name = 'shop',\n> x",
      'x:2: the lines that stay and go are not in pipeline.lua' },
    { 'lines that are there twice', 'x in bank:\n-   },\n+   }\n> x',
      'x:2: the lines that stay and go are in pipeline.lua more than once' },
    { 'new lines without a place', 'x in bank:\n+ local n\n> x',
      'x:2: where in pipeline.lua? Name the line before or behind' },
    { 'a change of a file that is not there', 'x in bank:\n@ other.lua\n- x\n+ y\n> x',
      'x:3: there is no other.lua to change' },
    { 'a change that changes nothing', "x in bank:\n    name = 'bank',\n> x",
      'x:2: nothing is changed' },
    { 'a right pipeline', 'x in bank:\n> x', 'x:1: nothing is changed' },
    { 'a case without a message', 'x in bank:\n' .. CHANGE, 'x:1: x gets no message' },
    { 'a name that is there twice', ('x in bank:\n%s> x\n\n'):format(CHANGE):rep(2), 'x:6: x is there twice' },
    { 'a bundle that is not there', 'x in benk:\n', 'x:1: there is no spec/fixtures/right/benk' },
    { 'lines that belong to no case', 'x in bank:\n' .. CHANGE .. '> x\n\n> y',
      'x:6: this is no case: write "name in bundle:"' },
  }
  for _, case in ipairs(refused) do
    it('is refused with ' .. case[1], function()
      local ok, said = pcall(wrong.parse, case[2], 'x')
      assert.is_false(ok)
      assert.are.equal(case[3], said)
    end)
  end
end)
