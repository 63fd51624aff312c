-- Breaks the runtime (or a fake) in one place at a time, in a copy of the tree, and
-- demands that the simulator fails, within STEPS steps, from at least three of four
-- seeds. luajit spec/simulate/mutants.lua FOLDER [WORD]: the copy is made in FOLDER;
-- WORD picks those of which the name has it.
local folder, word = arg[1], arg[2] or ''
io.stdout:setvbuf('line')

local SEEDS, LEAST = { 1, 100001, 200001, 300001 }, 3

-- { name, from, to }: `from` stands once in the C files of runtime or spec/simulate;
-- `to` takes its place. `harmless` says why a break does no harm by design, `unseen` why
-- no schedule meets it yet: neither counts, until it is seen.
local mutants = {
  -- Rows and positions.
  {
    'rows are not written when a batch is done again',
    'writer_write(&run->writer, b->rows, b->n_rows, b->attempt.conn);',
    'if (b->tries.n_failed == 0) {\n'
      .. 'writer_write(&run->writer, b->rows, b->n_rows, b->attempt.conn); }',
  },
  {
    'the position in memory stays behind',
    'lane->position = l->end;',
    '',
  },
  {
    'a message too many is freed',
    'source_done(b->run->worker->source, lane->kafka, moved);',
    'source_done(b->run->worker->source, lane->kafka,\n'
      .. 'moved + (lane->kafka->inbox.count > moved));',
  },
  {
    'a message too few is freed',
    'source_done(b->run->worker->source, lane->kafka, moved);',
    'source_done(b->run->worker->source, lane->kafka, moved - (moved > 3));',
  },
  {
    'records that a rebalance took away reach the inbox',
    'if (!p || !p->is_fetching || p->is_stuck) {',
    'if (!p || p->is_stuck) {',
  },
  {
    'what an attempt loaded is used by the next',
    'void batch_again(struct batch *b)\n{\n'
      .. '    for (uint32_t i = 0; i < b->n_rows; i++) {',
    'void batch_again(struct batch *b)\n{\n'
      .. '    for (uint32_t i = 0; i < b->n_rows && false; i++) {',
    unseen = 'a row must go between two attempts of its batch: one seed of four',
  },
  {
    'rows that a cache gave are not held against the table',
    'reader_verify(b->rows, b->n_rows, b->attempt.conn);',
    '',
    unseen = 'it is of rows that a handler reads and leaves: no handler here does',
  },
  {
    'an update does not hold the version of a row against the table',
    'put_match(&b, p);\n    buf_puts(&b, is_aligned ? " AND t.xmin = u.x" : "");\n'
      .. '    if (p->newer >= 0) {',
    'put_match(&b, p);\n    if (p->newer >= 0) {',
  },
  {
    'a count of rows is not held against what was meant',
    '" RETURNING 1) SELECT tidemill.must((SELECT count(*) FROM w)"',
    '" RETURNING 1) SELECT ((SELECT count(*) FROM w)"',
  },
  -- What waits for an answer.
  {
    'a comparison of the tables does not know since when it waits',
    'b->attempt.since = worker_now(b->run->worker); /* for held_up.c */',
    '',
  },
  -- An unknown COMMIT.
  {
    'an unknown COMMIT is taken for not committed',
    'return at[i].next_offset == l->end     ? COMMIT_DONE',
    'return at[i].next_offset == l->end     ? COMMIT_UNDONE',
  },
  {
    'an unknown COMMIT is taken for committed',
    ': at[i].next_offset == l->start ? COMMIT_UNDONE',
    ': at[i].next_offset == l->start ? COMMIT_DONE',
  },
  {
    'a lost COMMIT is taken for failed',
    'return reply->commit_sent && !reply->commit_rolled_back &&',
    'return reply->commit_sent && reply->commit_rolled_back &&',
  },
  {
    'the position moves though the COMMIT is unknown',
    'b->resolve.n_asked = 0;\n    b->tries.retry_at = 0;\n'
      .. '    return next_is(NEXT_RESOLVE);',
    'return next_is(NEXT_COMMITTED);',
  },
  {
    'the new epoch of a resolved lane is forgotten',
    'l->epoch = l->lane->epoch = at[i].epoch;',
    '',
  },
  {
    'the claim number is kept behind an unknown COMMIT',
    'l->lane->claim = ++b->run->worker->lanes.n_claims;',
    '',
  },
  {
    'what others did behind an unknown COMMIT is not looked at',
    'if (at[i].epoch > l->epoch + 1) {',
    'if (at[i].epoch > l->epoch + 1000) {',
  },
  -- Claims.
  {
    'a lane that was fenced is not claimed again',
    '    }\n    lane_become(lane, LANE_STALE);\n}\n\n/* TM001',
    '    }\n}\n\n/* TM001',
  },
  {
    'a claim does not raise the epoch',
    'SET epoch = greatest(epoch, 0) + 1, owner',
    'SET epoch = greatest(epoch, 0), owner',
  },
  {
    'a claim that is void goes on',
    'c->is_void = c->conn != NULL;',
    '',
  },
  {
    'people who change a lane are not heard',
    'return now < epoch || (now > epoch && pg_int(epochs, (int)i, 1));',
    'return false;',
  },
  {
    'a position moves in any epoch',
    '" AND epoch = $4 AND next_offset = $5 RETURNING next_offset) "',
    '" AND next_offset = $5 RETURNING next_offset) "',
  },
  {
    'a position moves from anywhere',
    '" AND epoch = $4 AND next_offset = $5 RETURNING next_offset) "',
    '" AND epoch = $4 RETURNING next_offset) "',
    harmless = 'whoever changes a position raises the epoch, which alone tells',
  },
  {
    'letters are tried again in any epoch',
    '" AND epoch = $4 AND next_offset = $5 FOR UPDATE) "',
    '" AND next_offset = $5 FOR UPDATE) "',
    harmless = 'the letters themselves are locked and counted: they end once',
  },
  {
    'the lane of letters is not locked',
    '" AND epoch = $4 AND next_offset = $5 FOR UPDATE) "',
    '" AND epoch = $4 AND next_offset = $5) "',
    unseen = 'a claim would have to read the held keys while the retry before it ends',
  },
  -- Records that are set aside.
  {
    'keys that are held in the table are not looked at',
    '*before = held_keys_find(&lane->keys, rec->key, rec->key_len);',
    '*before = NULL;',
  },
  {
    'held keys of a lane that is claimed again are not asked for',
    'l->keys.are_known = l->misfits = l->letters.has_halted = false;\n' ..
      '    l->next = LANE_IDLE;\n' .. '    lane_move(l, LANE_WANTS_KEYS);',
    'l->misfits = l->letters.has_halted = false;\n    l->next = LANE_IDLE;\n'
      .. '    lane_move(l, LANE_WANTS_KEYS);\n'
      .. '    if (l->keys.are_known) { lane_has_keys(l); }',
  },
  {
    'held keys are not forgotten when a lane goes',
    'held_keys_forget(&l->keys); /* asked for anew when it comes back */',
    '',
    harmless = 'the answer to the question behind the next claim takes their place',
  },
  {
    'a failed record holds nothing',
    'if (failures_hold_key(b, event)) {\n        hold_key(b, rec);',
    'if (rec->offset < 0) {\n        hold_key(b, rec);',
  },
  {
    'letters that were applied stay in their table',
    'dead_letter_end(b->attempt.conn',
    'if (n_gone > 1)\n        dead_letter_end(b->attempt.conn',
  },
  {
    'a halt is not written down',
    'halts_note(h, &at, e->text, scripts_of);',
    '',
  },
  -- Batches, lanes and the circuit breaker.
  {
    'a batch that waits is never woken',
    'while ((b = batches_due(&g->run.batches.waiting, now))) {\n'
      .. '        run_move',
    'while ((b = batches_due(&g->run.batches.waiting, now)) &&\n'
      .. '       b->tries.n_failed < 2) {\n        run_move',
  },
  {
    'a batch that waits keeps its connection',
    'database_release(&b->run->worker->database, &b->attempt.conn);\n'
      .. '    b->run->worker->show.counts->counters[COUNT_BATCH_RETRIES]++;',
    'b->run->worker->show.counts->counters[COUNT_BATCH_RETRIES]++;',
  },
  {
    'lanes of a batch that is given up stay leased',
    'lane_end_lease(lane);\n        if (lane->kafka',
    'if (b->tries.n_failed < 2) lane_end_lease(lane);\n        if (lane->kafka',
  },
  {
    'the ticket of a probe is never ended',
    'database_withdraw(&run->worker->database, &b->attempt.ticket);',
    '',
  },
  {
    'a batch of any size is the probe of a half-open breaker',
    'uint32_t most = state == BREAKER_OPEN ? 0 : PROBE_RECORDS;',
    'uint32_t most = state == BREAKER_OPEN ? 0 : PROBE_RECORDS * 100;',
  },
  -- The fakes.
  {
    'the server commits a part',
    'model_commits(t);\n    n_commits++;',
    'if (t->rows && t->xid % 64 == 0) { t->rows->is_changed = false; }\n'
      .. '    model_commits(t);\n    n_commits++;',
  },
  {
    'the server takes any epoch',
    '(!c->s->by_epoch || v->lane.epoch == param_int(c, 3)) &&\n'
      .. '           (!c->s->by_offset',
    '(!c->s->by_offset',
  },
  {
    'the server locks no rows that are read for update',
    'if (s->locks && !lock_all(',
    'if (s->locks && n_key > 5 && !lock_all(',
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
-- Two at a time; a log that ends well has the sum. One that runs for ever is seen too.
local simulate = ([[cd %s && rm -f log.* && echo %s | xargs -n 1 -P 2 sh -c '
  SEED=$0 STEPS=%s timeout 300 build/simulate/simulate spec/simulate/world \
    >log.$0 2>&1 || :']])
  :format(folder, table.concat(SEEDS, ' '), os.getenv('STEPS') or '1000000')
local passed, failed = 0, 0

-- How many seeds see it, and what the simulator said first.
local function look()
  local n, said = 0, nil
  assert(run(make), 'it does not build: ' .. folder .. '/make.log')
  assert(run(simulate))
  for _, seed in ipairs(SEEDS) do
    local log = read(folder .. '/log.' .. seed)
    if not log:find('steps in %d+ runs') then
      local last = tonumber(log:match('SEED=(%d+) fails'))
      n = n + 1
      said = said or ('run %s, %s'):format(last and last - seed + 1 or '?',
        log:match('simulate: (step %d+: [^\n]*)') or 'it dies, or has no end')
    end
  end
  return n, said or ''
end

local function try(list, m)
  local from, to = m[2], m[3]
  local path, text, at = find(list, from)
  write(folder .. '/' .. path, text:sub(1, at - 1) .. to .. text:sub(at + #from))
  local n, said = look()
  write(folder .. '/' .. path, text)
  local ok = n >= LEAST
  local why = m.harmless or m.unseen
  print(('%s from %d of %d seeds: %s: %s'):format(ok and 'seen' or 'NOT SEEN', n, #SEEDS,
    m[1], n == 0 and why or said))
  passed = passed + (ok and 1 or 0)
  failed = failed + (not ok and not why and 1 or 0)
end

assert(run(('rm -rf %s && mkdir -p %s'):format(folder, folder)))
assert(run('cp -a runtime scripts rules spec Makefile ' .. folder))
local list = files()
for _, m in ipairs(mutants) do
  find(list, m[2])
end
assert(look() == 0, 'the simulator fails as it is: ' .. folder .. '/log.*')
for _, m in ipairs(mutants) do
  if m[1]:find(word, 1, true) then
    try(list, m)
  end
end
print(('%d passed, %d failed'):format(passed, failed))
os.exit(failed == 0 and passed > 0 and 0 or 1)
