local bundles = require 'spec.unit.bundles'
local failure = require 'tidemill.plan.failure'

local FOLD = "projection { table = 'a', key = { id = 'bigint' }, columns = { n = 'bigint' }, on = { X = function() end } }"

-- The pipeline with this text (a field) as its line 4.
local function pipeline(text)
  return (bundles.pipeline(FOLD):gsub("name = 'x'", function() return "name = 'x',\n" .. text end))
end

local function with_rule(body)
  return bundles.load(pipeline('failure = failure { decide = function(failure)\n' .. body .. '\nend }'))
end

local function contains(part, whole)
  assert.is_truthy(whole and whole:find(part, 1, true), tostring(whole))
end

-- What deciding says when it does not take the rule's answer.
local function fault(bundle, case)
  local ok, reason = pcall(bundle.decide, bundle, case)
  assert.is_false(ok, 'the answer was taken')
  return reason
end

describe('failure = …', function()
  local function title(files)
    files = type(files) == 'string' and { ['pipeline.lua'] = files } or files
    return bundles.plan(files).failure.title
  end
  local RULE = "return failure { decide = function() return 'halt' end }"

  it('is the stock rule unless said', function()
    assert.are.equal("rule 'sqlstate'", title(bundles.pipeline(FOLD)))
    assert.are.equal("rule 'sqlstate'", title(pipeline("failure = rule 'sqlstate'")))
  end)
  it('takes a module of the bundle, with and without the word rule', function()
    for _, text in ipairs { "'my.rule'", "rule('my.rule')" } do
      local files = { ['pipeline.lua'] = pipeline('failure = ' .. text), ['my/rule.lua'] = RULE }
      assert.is_truthy(title(files):find("^rule 'my.rule' %(.*/my/rule.lua:1%)$"), title(files))
      assert.are.equal('halt', bundles.load(files):decide { class = 'conflict' })
    end
  end)
  it('takes a rule in its place, and says where it is written', function()
    contains('pipeline.lua:4', title(pipeline("failure = failure { decide = function() end }")))
  end)
  it('takes the module of the bundle where both have the name and rule is not said', function()
    local files = { ['pipeline.lua'] = pipeline("failure = 'sqlstate'"), ['sqlstate.lua'] = RULE }
    assert.are.equal('halt', bundles.load(files):decide { class = 'conflict' })
  end)

  local function refused(name, text, line, message)
    it(name, function()
      local said = bundles.refusal {
        ['pipeline.lua'] = pipeline(text), ['my/rule.lua'] = RULE, ['my/list.lua'] = 'return { 1 }',
        ['my/bad.lua'] = '\nreturn failure { decied = function() end }',
      }
      contains(('%s: %s'):format(line, message), said)
    end)
  end
  refused('names the nearest stock rule', "failure = rule 'sqlstat'", 'pipeline.lua:4',
    "pipeline 'x': there is no failure rule 'sqlstat': did you mean 'sqlstate'?")
  refused('names the nearest module', "failure = 'my.rul'", 'pipeline.lua:4',
    "pipeline 'x': there is no failure rule 'my.rul': did you mean 'my.rule'?")
  refused('says how the stock rule is written', "failure =\n'sqlstate'", 'pipeline.lua:5',
    "pipeline 'x': the bundle has no module 'sqlstate': the rule of Tidemill is written rule 'sqlstate'")
  refused('wants a failure { … } of a module', "failure = 'my.list'", 'pipeline.lua:4',
    "pipeline 'x': the module 'my.list' must return failure { … }, and gives a table")
  refused('wants a rule', 'failure = 5', 'pipeline.lua:4',
    "pipeline 'x': 'failure' must be rule { … } or failure { … } or a text, not a number: write failure = rule 'sqlstate'")
  refused('wants a rule for failures', "failure = kafka { brokers = 'b' }", 'pipeline.lua:4',
    "pipeline 'x': 'failure' must be rule { … } or failure { … } or a text, not kafka { … }")
  refused('knows no options of the stock rule', "failure = rule 'sqlstate' { attempts = 5 }", 'pipeline.lua:4',
    "pipeline 'x': the rule 'sqlstate' takes no options: write rule 'sqlstate'")
  refused('wants decide', 'failure = failure { }', 'pipeline.lua:4',
    "failure: 'decide' is missing: write decide = function(failure) … end")
  refused('wants a function as decide', "failure = failure {\ndecide = 'retry' }", 'pipeline.lua:5',
    "failure: 'decide' must be a function, not a text")
  refused('names the nearest key in the file of the rule', "failure = 'my.bad'", 'my/bad.lua:2',
    "failure: unknown key 'decied': did you mean 'decide'?")
  refused('refuses a rule that remembers', 'failure = (function() local n = 0 return failure { decide = function()\nn = n + 1 end } end)()',
    'pipeline.lua:5', "the failure rule assigns the variable 'n', which outlives the question")
  it('refuses to name another rule while it is asked', function()
    contains('rule can be used only while the pipeline is loaded', fault(with_rule("return rule 'sqlstate'"), { class = 'data' }))
  end)
end)

describe('decide', function()
  it('sees every field of the failure', function()
    local bundle = with_rule([[
      local all = table.concat({ failure.class, failure.sqlstate, failure.message, failure.attempts,
        failure.records, tostring(failure.has_others), failure.topic, failure.partition, tostring(failure.offset) }, '|')
      if all == 'data|23505|duplicate|2|1|true|t|3|9007199254740991' then return 'dead_letter' end]])
    assert.are.equal('dead_letter', bundle:decide { class = 'data', sqlstate = '23505', message = 'duplicate', attempts = 2,
      records = 1, has_others = true, topic = 't', partition = 3, offset = 9007199254740991 })
  end)
  it('sees no topic where several lanes failed together', function()
    local bundle = with_rule("if failure.topic == nil and failure.offset == nil then return 'halt' end")
    assert.are.equal('halt', bundle:decide { class = 'data', records = 2 })
  end)
  it('names the nearest of an unknown field', function()
    contains("pipeline.lua:5: a failure has no field 'sqlsate': did you mean 'sqlstate'?",
      fault(with_rule("if failure.sqlsate then return 'halt' end"), { class = 'data' }))
  end)
  it('can only read', function()
    contains('pipeline.lua:5: a failure can only be read', fault(with_rule("failure.attempts = 0"), { class = 'data' }))
  end)
  it('names the line where a rule raises', function()
    contains('pipeline.lua:6: no idea', fault(with_rule("\nerror('no idea')"), { class = 'data' }))
  end)
  it('leaves to the stock rule what it gives no answer to', function()
    local bundle = with_rule("if failure.sqlstate == '23505' then return 'dead_letter' end")
    assert.are.same({ 'dead_letter' }, { bundle:decide { class = 'data', sqlstate = '23505' } })
    assert.are.same({ 'retry', 200 }, { bundle:decide { class = 'data', sqlstate = '23503' } })
    assert.are.same({ 'halt' }, { bundle:decide { class = 'schema' } })
  end)
  it('gives a delay in whole milliseconds', function()
    assert.are.same({ 'retry', 1500 }, { with_rule("return 'retry', 1500.7"):decide { class = 'conflict' } })
    assert.are.same({ 'retry', 0 }, { with_rule("return 'retry', 0"):decide { class = 'conflict' } })
    assert.are.same({ 'retry', 3600000 }, { with_rule("return 'retry', 3600000"):decide { class = 'schema' } })
  end)

  -- Every class against every answer, for one record and for several.
  local ONE = { retry = true, halt = true, dead_letter = true, hold = true }
  local SEVERAL = { retry = true, halt = true, bisect = true }
  local WAIT = { retry = true, halt = true }
  local one, several = {}, {}
  for _, class in ipairs { 'conflict', 'connection', 'server', 'resource', 'schema', 'config', 'fatal' } do
    one[class], several[class] = WAIT, WAIT
  end
  one.data, one.script, several.data, several.script = ONE, ONE, SEVERAL, SEVERAL
  one['resource 57014'], several['resource 57014'] = ONE, SEVERAL

  local function may_answer(case, action, is_allowed)
    local bundle = with_rule(("return '%s'%s"):format(action, action == 'retry' and ', 1000' or ''))
    if is_allowed then
      assert.are.equal(action, (bundle:decide(case)))
    else
      contains(("the failure rule: '%s' is no answer to a failure of class %s with "):format(action, case.class), fault(bundle, case))
    end
  end
  for name in pairs(one) do
    for _, action in ipairs(failure.ACTIONS) do
      local class, sqlstate = name:match('^(%a+) ?(.*)$')
      it(('may answer a failure of class %s with %s only where that is safe'):format(name, action), function()
        may_answer({ class = class, sqlstate = sqlstate, records = 1 }, action, one[name][action])
        may_answer({ class = class, sqlstate = sqlstate, records = 2 }, action, several[name][action])
      end)
    end
  end
  it('has a row here for every class', function()
    for _, class in ipairs(failure.classes()) do assert.is_truthy(one[class], class) end
  end)

  local function wrong(name, answer, case, message)
    it(name, function() contains('pipeline.lua:4: the failure rule: ' .. message, fault(with_rule('return ' .. answer), case)) end)
  end
  for _, word in ipairs { 'ack', 'commit', 'skip', 'ignore' } do
    wrong('has no word for going on without the record: ' .. word, "'" .. word .. "'", { class = 'data' }, ("'%s' is no answer"):format(word))
  end
  wrong('names the nearest of a wrong word', "'dead_leter'", { class = 'data' }, "'dead_leter' is no answer: did you mean 'dead_letter'?")
  wrong('refuses what is no text', '5', { class = 'data' }, 'a number is no answer to a failure of class data with one record: it can be '
    .. "'retry', 'dead_letter', 'hold', 'halt'")
  wrong('refuses false', 'false', { class = 'data' }, 'false is no answer')
  wrong('refuses a table', '{}', { class = 'data', records = 7 }, "a table is no answer to a failure of class data with 7 records: it can be "
    .. "'retry', 'bisect', 'halt'")
  wrong('refuses a negative delay', "'retry', -1", { class = 'conflict' }, 'the delay must be milliseconds from 0 to 3600000, not -1')
  wrong('refuses a delay of more than an hour', "'retry', 3600001", { class = 'conflict' }, 'the delay must be milliseconds from 0 to 3600000')
  wrong('refuses a delay that is no number', "'retry', '5'", { class = 'conflict' }, 'the delay must be milliseconds from 0 to 3600000, not a text')
  wrong('refuses a delay that is not a number', "'retry', 0/0", { class = 'conflict' }, 'the delay must be milliseconds from 0 to 3600000')
  wrong('refuses a delay of a halt', "'halt', 5", { class = 'conflict' }, "a delay goes with 'retry', not with 'halt'")
  wrong('wants a delay where the same work fails again at once', "'retry'", { class = 'schema' },
    "'retry' of a failure of class schema needs a delay: return 'retry', 60000")

  it('is asked by a spec with the names of fields and classes that there are', function()
    local bundle = with_rule('')
    contains("unknown key 'sqlsate': did you mean 'sqlstate'?", fault(bundle, { class = 'data', sqlsate = '23505' }))
    contains("class = 'dta': did you mean 'data'?", fault(bundle, { class = 'dta' }))
  end)
end)
