-- Breaks the runtime (or a fake) in one place at a time, in a copy of the tree, and
-- demands that the simulator fails. luajit spec/simulate/mutants.lua FOLDER [WORD]: the
-- copy is made in FOLDER; WORD picks those of which the name has it.
local folder, word = arg[1], arg[2] or ''
io.stdout:setvbuf('line')

-- `from` stands once in the C files of runtime or spec/simulate; `to` takes its place.
local mutants = {
  {
    'rows are not written when a batch is done again',
    'writer_write(&run->writer, b->rows, b->n_rows, b->attempt.conn);',
    'if (!b->tries.has_begun) {\n'
      .. 'writer_write(&run->writer, b->rows, b->n_rows, b->attempt.conn); }',
  },
  {
    'what others did behind an unknown COMMIT is not looked at',
    'if (at[i].epoch > l->epoch + 1) {',
    'if (at[i].epoch > l->epoch + 1000) {',
  },
  {
    'keys that are held in the table are not looked at',
    '*before = held_keys_find(&lane->keys, rec->key, rec->key_len);',
    '*before = NULL;',
  },
  {
    'a failed record holds nothing',
    'if (verdict_holds(b, event)) {\n        hold_key(b, rec);',
    'if (rec->offset < 0) {\n        hold_key(b, rec);',
  },
  {
    'letters that were applied stay in their table',
    'dead_letter_end(b->attempt.conn',
    'if (b->run->worker->lanes.n_claims % 2)\n        dead_letter_end(b->attempt.conn',
  },
  {
    'a batch that waits is never woken',
    'while ((b = batches_due(&g->run.batches.waiting, now))) {\n        run_move',
    'while ((b = batches_due(&g->run.batches.waiting, now)) && b->tries.n_failed < 2) {\n'
      .. '        run_move',
  },
  {
    'lanes of a batch that is given up stay leased',
    'lane_end_lease(lane);\n        if (lane->kafka',
    'if (b->tries.n_failed < 2) lane_end_lease(lane);\n        if (lane->kafka',
  },
  {
    'the position in memory stays behind',
    'lane->position = l->end;',
    '',
  },
  {
    'a message too many is freed',
    'source_done(b->run->worker->source, lane->kafka, moved);',
    'source_done(b->run->worker->source, lane->kafka, moved + (moved > 3));',
  },
  {
    'a message too few is freed',
    'source_done(b->run->worker->source, lane->kafka, moved);',
    'source_done(b->run->worker->source, lane->kafka, moved - (moved > 3));',
  },
  {
    'a lane that was fenced is not claimed again',
    '    }\n    lane_become(lane, LANE_DOUBTED);',
    '    }',
  },
  {
    'records that a rebalance took away reach the inbox',
    'if (!p || !p->is_fetching || p->is_stuck) {',
    'if (!p || p->is_stuck) {',
  },
  {
    'what an attempt loaded is used by the next',
    'if (b->tries.has_begun) {\n        batch_again(b);',
    'if (b->tries.has_begun && b->tries.n_failed > 100) {\n        batch_again(b);',
  },
  {
    'people who change a lane are not heard',
    'return now < epoch || (now > epoch && pg_int(epochs, (int)i, 1));',
    'return false;',
  },
  {
    'the server commits a part',
    'model_commits(t);\n    n_commits++;',
    'if (t->rows && t->xid % 64 == 0) { t->rows->is_changed = false; }\n'
      .. '    model_commits(t);\n    n_commits++;',
  },
  {
    'the server takes any epoch and position',
    'return v && v->lane.epoch == param_int(c, 3) &&',
    'return v || v->lane.epoch == param_int(c, 3) ||',
  },
  {
    'the server locks no rows that are read for update',
    'if (s->is_locked && !lock_all(',
    'if (s->is_locked && n_key > 5 && !lock_all(',
  },
}

local function run(command)
  local status = os.execute(command)
  return status == 0 or status == true
end

local function read(path)
  local f = assert(io.open(path))
  local text = f:read('*a')
  f:close()
  return text
end

local function write(path, text)
  local f = assert(io.open(path, 'w'))
  f:write(text)
  f:close()
end

local function files()
  local list = {}
  for path in io.popen("find runtime spec/simulate -name '*.c' | sort"):lines() do
    list[#list + 1] = path
  end
  return list
end

-- The only file that has the text, its whole text, and where the one in it begins.
local function find(list, wanted)
  local found, text, at
  for _, path in ipairs(list) do
    local whole = read(path)
    local first = whole:find(wanted, 1, true)
    if first then
      assert(not found and not whole:find(wanted, first + 1, true), 'twice: ' .. wanted)
      found, text, at = path, whole, first
    end
  end
  return assert(found, 'nowhere: ' .. wanted), text, at
end

local make = ('make -s --no-print-directory -C %s -j2 WARN= simulate >%s/make.log 2>&1')
  :format(folder, folder)
local simulate = 'cd %s && STEPS=%s build/simulate/simulate spec/simulate/world >log 2>&1'
simulate = simulate:format(folder, os.getenv('STEPS') or '1000000')
local passed, failed = 0, 0

-- True, and what the simulator said.
local function is_seen()
  assert(run(make), 'it does not build: ' .. folder .. '/make.log')
  if run(simulate) then
    return false, ''
  end
  local log = read(folder .. '/log')
  return true, log:match('simulate: (step %d+: [^\n]*)') or 'it dies'
end

local function try(list, name, from, to)
  local path, text, at = find(list, from)
  write(folder .. '/' .. path, text:sub(1, at - 1) .. to .. text:sub(at + #from))
  local ok, said = is_seen()
  write(folder .. '/' .. path, text)
  print(('%s: %s: %s'):format(ok and 'seen' or 'NOT SEEN', name, said))
  passed, failed = passed + (ok and 1 or 0), failed + (ok and 0 or 1)
end

assert(run(('rm -rf %s && mkdir -p %s'):format(folder, folder)))
assert(run('cp -a runtime scripts rules spec Makefile ' .. folder))
assert(not is_seen(), 'the simulator fails as it is: ' .. folder .. '/log')
local list = files()
for _, m in ipairs(mutants) do
  if m[1]:find(word, 1, true) then
    try(list, m[1], m[2], m[3])
  end
end
print(('%d passed, %d failed'):format(passed, failed))
os.exit(failed == 0 and passed > 0 and 0 or 1)
