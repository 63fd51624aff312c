-- Prometheus' text format, read as strictly as promtool does. What is not allowed is an
-- error that names the line.
local M = {}

local SUFFIXES = {
  counter = { [''] = true }, gauge = { [''] = true },
  histogram = { _bucket = true, _sum = true, _count = true },
}
local UNITS = { bytes = true, seconds = true }
local NO_BASE_UNITS = { ms = true, us = true, msec = true, usec = true, minutes = true,
  milliseconds = true, microseconds = true, hours = true, kib = true, mib = true }

local function check_name(family)
  local name, bare = family.name, family.name:gsub('_total$', '')
  assert(SUFFIXES[family.type], name .. ': type ' .. tostring(family.type))
  assert(family.help and #family.help > 0, name .. ' has no HELP')
  assert((bare ~= name) == (family.type == 'counter'), name)
  for suffix in pairs(SUFFIXES.histogram) do
    assert(bare:sub(-#suffix) ~= suffix, name)
  end
  for word in bare:gmatch '[^_]+' do
    assert(not NO_BASE_UNITS[word], name .. ' is in no base unit')
    assert(not UNITS[word] or bare:sub(-#word) == word, name .. ': a unit stands last')
  end
end

-- Labels in their order, as { name, value }; what is quoted has no raw quote or line end.
local function read_labels(text, line)
  local labels, seen, rest = {}, {}, text
  while rest ~= '' do
    local name, value, tail = rest:match('^([%a_][%w_]*)="(.-)"(.*)$')
    assert(name, line)
    while value:gsub('\\\\', ''):match('\\$') do
      local more, behind = tail:match('^(.-)"(.*)$')
      value, tail = value .. '"' .. assert(more, line), behind
    end
    assert(not seen[name], 'label twice: ' .. line)
    assert(not value:gsub('\\[\\n"]', ''):find('[\\\n"]'), line)
    seen[name] = true
    labels[#labels + 1] = { name, value }
    rest = tail:match('^,(.+)$') or tail
    assert(rest ~= tail or tail == '', line)
  end
  return labels
end

local function add_sample(family, line, all)
  assert(family.type, line .. ' stands above its TYPE')
  local series, value = line:match('^(.*) (%S+)$')
  local name, text = (series or ''):match('^([%w_:]+)%{(.+)%}$')
  name = name or series:match('^[%w_:]+$')
  assert(name and tonumber(value), line)
  assert(not all[series], 'series twice: ' .. line)
  assert(name:sub(1, #family.name) == family.name, line .. ' is no ' .. family.name)
  local suffix = name:sub(#family.name + 1)
  assert(SUFFIXES[family.type][suffix], line)
  all[series] = tonumber(value)
  family.samples[#family.samples + 1] = {
    suffix = suffix, value = all[series], labels = read_labels(text or '', line),
  }
end

-- Buckets grow up to +Inf, which is the count.
local function check_histogram(family)
  local before, top
  for _, s in ipairs(family.samples) do
    local le = s.suffix == '_bucket' and s.labels[#s.labels]
    if le then
      assert(le[1] == 'le', family.name)
      local bound = le[2] == '+Inf' and math.huge or tonumber(le[2])
      assert(not before or bound > before.bound and s.value >= before.value, family.name)
      before = bound < math.huge and { bound = bound, value = s.value } or nil
      top = bound == math.huge and s.value or nil
    elseif s.suffix == '_count' then
      assert(top == s.value, family.name .. ': the count is not that of +Inf')
    end
  end
end

--- The families in their order and by name ({ name, type, help, samples }), and the
--- value of each series by the text in front of it.
function M.read(text)
  local families, all, family = {}, {}, nil
  assert(text:sub(-1) == '\n', 'the last line has no end')
  for line in text:gmatch('([^\n]*)\n') do
    local what, name, rest = line:match('^# (%u+) ([%w_:]+) (.+)$')
    if what == 'HELP' then
      assert(not families[name], name .. ' twice')
      family = { name = name, help = rest, samples = {} }
      families[#families + 1], families[name] = family, family
    elseif what == 'TYPE' then
      assert(family and family.name == name and not family.type, line)
      family.type = rest
      check_name(family)
    else
      add_sample(assert(family, line), line, all)
    end
  end
  for _, f in ipairs(families) do check_histogram(f) end
  return families, all
end

--- Fails when a series of [before] is gone, or what is counted is less than it was.
function M.check_grown(before, after)
  local _, old = M.read(before)
  local families, new = M.read(after)
  for series, value in pairs(old) do
    assert(new[series], series .. ' has vanished')
    local name = series:match('^[%w_]+')
    local family = families[name] or families[name:match('^(.*)_%a+$')]
    assert(family.type == 'gauge' or new[series] >= value,
      ('%s fell from %s to %s'):format(series, value, new[series]))
  end
end

return M
