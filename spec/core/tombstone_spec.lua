-- Records without a value in a json topic: what they are to a mirror, and to
-- all others.
local flow = require 'spec.core.flow'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

local COPY = "table = 't', mirror = true, key = { id = 'text' }, columns = { x = 'bigint' }"

-- Each row after these records: its key and 'x', or '-' when it was deleted.
local function mirrored(projection, records)
  local trial = flow.trial(projection)
  local view, why = trial:rows(records)
  if not view then return why end
  assert(C.tm_trial_mirror(trial.c, view) == 0, ffi.string(trial.batch.error))
  local out = {}
  for row = 0, view.n_rows - 1 do
    local is_there = bit.band(view.flags[row], C.TM_ROW_EXISTS) ~= 0
    out[row + 1] = trial:cell(0, row) .. '=' .. (is_there and trial:cell(1, row) or '-')
  end
  return table.concat(out, ' ')
end

local function states(projection, records)
  local trial, out = flow.trial(projection), {}
  trial:decode(records)
  for i = 0, #records - 1 do out[i + 1] = trial.batch.states[i] end
  return table.concat(out, ' ')
end

describe('a record without a value, in a json topic,', function()
  it('deletes the row of its key in a mirror', function()
    assert.equal('a=- b=2 c=-', mirrored(COPY, {
      { 'a', '{"x":1}' }, { 'b' }, { 'b', '{"x":2}' }, { '{"id":"a"}' }, { '"c"' },
    }))
  end)

  it('is one too when its value is the word null', function()
    assert.equal('a=- b=3', mirrored(COPY,
      { { 'a', '{"x":1}' }, { 'a', ' null ' }, { 'b', 'null' }, { 'b', '{"x":3}' } }))
  end)

  it('is nothing to a mirror that says so', function()
    assert.equal('a=1', mirrored(COPY .. ", ignore = { 'd' }",
      { { 'a', '{"x":1}' }, { 'a' }, { 'b' } }))
  end)

  it('halts a mirror whose rows several lanes may change', function()
    local shared = "table = 't', mirror = true, newer = 'x', "
      .. "key = { id = { 'text', from = 'data.id' } }, columns = { x = 'bigint' }"
    local trial = flow.trial(shared)
    local view, why, event = trial:rows { { 'a', '{"id":"a","x":1}' }, { 'a' } }
    assert.is_nil(view)
    assert.equal(1, event)
    assert.is_truthy(why:find("or write ignore = { 'd' }", 1, true), why)
    assert.equal('a=1', mirrored(shared .. ", ignore = { 'd' }",
      { { 'a', '{"id":"a","x":1}' }, { 'a' } }))
  end)

  it('is no event where no mirror reads the topic', function()
    local fold = "table = 't', key = { id = { 'text', from = 'key' } }, "
      .. "columns = { n = 'bigint' }, on = function(row) row.n = 1 end"
    local ok, skipped = tonumber(C.TM_EVENT_OK), tonumber(C.TM_EVENT_SKIPPED)
    assert.equal(skipped .. ' ' .. ok, states(fold, { { 'a' }, { 'a', 'null' } }))
    assert.equal(ok .. ' ' .. ok, states(COPY, { { 'a' }, { 'a', 'null' } }))
    -- Beside a mirror as well.
    local trial = flow.trial(COPY .. " }, projection { " .. fold:gsub("'t'", "'f'"))
    trial:decode { { 'a' }, { 'b', '{}' } }
    assert.equal(1, C.tm_trial_rows(trial.c, 1).n_rows)
    assert.equal(2, C.tm_trial_rows(trial.c, 0).n_rows)
  end)
end)
