-- A database with lanes and dead letters that were put there by hand: what the
-- operator's verbs work on, without a worker.
local counts = require 'counts'
local json = require 'cjson'
local pg = require 'pg'
local process = require 'process'
local tidemill = require 'tidemill'

local M = {}
local s

-- Three lanes; the second is halted. Its key k1 failed at 10 with two held
-- behind it, a record without a key failed at 20; lane 2 has a key that is no
-- text.
local rows = [[
INSERT INTO tidemill.lane (pipeline, topic, partition, next_offset, epoch, owner,
  halted, halted_at, halted_generation, is_rewound, anchor_ms, anchor_hash) VALUES
  ('counts', 'TOPIC', 0, 40, 3, 'host:1', NULL, NULL, NULL, false, 1, 1),
  ('counts', 'TOPIC', 1, 100, 5, 'host:2', 'more than a share of its records failed',
    '2026-01-02T03:04:05Z', 'abc', false, 1, 1),
  ('counts', 'TOPIC', 2, 9, 1, NULL, NULL, NULL, NULL, false, 1, 1),
  ('other', 'TOPIC', 0, 7, 1, NULL, 'not ours', now(), 'abc', false, 1, 1);
INSERT INTO tidemill.dead_letter (pipeline, topic, partition, "offset", state, key,
  value, headers, record_ms, class, sqlstate, message, script, generation, attempts,
  first_seen) VALUES
  ('counts', 'TOPIC', 1, 10, 'failed', 'k1', '{"kind":"add","list":[1,2]}',
    '[{"name":"source","value":"shop"}]', 1700000000123, 'data', '22003',
    'numeric field overflow', 'projections/counts.lua:7', 'gen1', 3,
    now() - interval '2 h'),
  ('counts', 'TOPIC', 1, 12, 'held', 'k1', '{"n":2}', '[]', 1700000000125, 'held', NULL,
    'behind offset 10', NULL, 'gen1', 1, now()),
  ('counts', 'TOPIC', 1, 15, 'held', 'k1', '{"n":3}', '[]', 1700000000127, 'held', NULL,
    'behind offset 10', NULL, 'gen1', 1, now()),
  ('counts', 'TOPIC', 1, 20, 'failed', NULL, '\x00ff01', NULL, NULL, 'script', NULL,
    E'a \x1b[31mred\x1b[0m line', NULL, 'gen1', 1, now()),
  ('counts', 'TOPIC', 2, 7, 'failed', '\xff00', NULL, '[]', NULL, 'data', '23505',
    'duplicate', NULL, 'gen1', 1, now()),
  ('other', 'TOPIC', 0, 3, 'failed', 'k1', 'x', '[]', NULL, 'data', NULL, 'not ours',
    NULL, 'gen1', 1, now());
]]

function M.words(text)
  local list = {}
  for word in text:gmatch('%S+') do list[#list + 1] = word end
  return unpack(list)
end

--- All rows anew; the pipeline (see counts.lua).
function M.reset()
  s = s or counts.new { no_topic = true, partitions = 3 }
  s.db:rows('TRUNCATE tidemill.lane, tidemill.dead_letter, tidemill.audit')
  s.db:rows((rows:gsub('TOPIC', s.topic)))
  return s
end

local function argv_of(verb, ...)
  local argv = { M.words(verb) }
  argv[#argv + 1] = s.bundle
  for _, word in ipairs { ... } do argv[#argv + 1] = word end
  return argv
end

--- A verb's word, on the pipeline: call('lane list', '--json').
function M.call(verb, ...)
  return tidemill.call(argv_of(verb, ...), { env = s.env })
end

function M.lane(partition)
  return s.db:rows(('SELECT * FROM tidemill.lane WHERE pipeline = \'counts\' ' ..
    'AND partition = %d'):format(partition))[1]
end

--- Places of the letters: '1/10 1/12 ...'.
function M.offsets(where)
  return s.db:value('SELECT coalesce(string_agg(partition || \'/\' || "offset", \' \' ' ..
    'ORDER BY partition, "offset"), \'\') FROM tidemill.dead_letter ' ..
    "WHERE pipeline = 'counts' AND " .. (where or 'true'))
end

function M.audit()
  local all = s.db:rows('SELECT * FROM tidemill.audit ORDER BY id')
  for _, row in ipairs(all) do row.detail = json.decode(row.detail) end
  return all
end

--- 'topic/1/10'
function M.place(...) return table.concat({ s.topic, ... }, '/') end

function M.lines(text)
  local list = {}
  for line in text:gmatch('[^\n]+') do list[#list + 1] = line end
  return list
end

--- The same on a terminal, with the one word [word]; [meanwhile] happens before
--- [answer] is typed.
function M.on_terminal(verb, word, answer, meanwhile)
  local base = os.getenv('TIDEMILL_SCRATCH') .. '/' .. tidemill.unique('terminal')
  assert(os.execute('mkfifo ' .. base .. '.in'))
  local command = ("exec script -qec '%s %s' /dev/null <%s.in"):format(
    os.getenv('TIDEMILL'), table.concat(argv_of(verb, M.words(word)), ' '), base)
  local p = process.start({ 'sh', '-c', command }, { out = base .. '.out',
    env = { DATABASE_URL = pg.as('desk', s.url) } })
  local keyboard = assert(io.open(base .. '.in', 'w'))
  local ok, status = pcall(function()
    local function text() return tidemill.read(base .. '.out') end
    process.wait_for(function() return 'a question\n' .. text() end, 20,
      function() return text():find('Type yes', 1, true) end)
    if meanwhile then meanwhile() end
    keyboard:write(answer, '\n')
    keyboard:flush()
    return p:wait(20)
  end)
  keyboard:close()
  p:destroy()
  assert(ok, status)
  return { status = status, text = tidemill.read(base .. '.out') }
end

return M
