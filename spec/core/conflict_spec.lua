-- How an attempt at a batch goes that lost against another transaction, and how
-- long it waits for a lock.
local ffi = require 'ffi'
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/run/run.h', 'flow/run/conflict.h', 'flow/run/kind.h')

local SECOND = 1000000

-- A worker with two batches, the first of which begins; [o]: n_leases, waits, n_lost,
-- n_missed, n_unproven, is_retry, empties, concurrency, pool, waits_long (the other one is), took.
local function begins(o)
  local s = {
    run = ffi.new('struct run'), plan = ffi.new('struct plan'),
    generation = ffi.new('struct generation'), leases = ffi.new('struct lease[2]'),
    rows = ffi.new('struct rows[1]'),
    lanes = flow.lanes { { wait = { retry_at = o.waits and 1 or 0, n_lost = o.n_lost or 0,
                                     n_missed = o.n_missed or 0, n_unproven = o.n_unproven or 0 } }, {} },
  }
  s.plan.database.timeouts.lock_ms = o.lock_ms or 20000
  s.plan.database.pool_max = o.pool or 8
  s.generation.plan = s.plan
  s.run.batches.n, s.run.took = o.concurrency or 2, o.took or 0
  for i = 0, 1 do s.leases[i].lane = s.lanes[i] end
  local head, other = s.run.batches.busy.head, s.run.batches.all[1]
  head.prev, head.next, s.run.batches.busy.n = other.link, other.link, 1
  other.link.prev, other.link.next, other.attempt.waits_long = head, head, o.waits_long or false
  local b = s.run.batches.all[0]
  b.run, b.generation, b.input.leases, b.input.n_leases = s.run, s.generation, s.leases, o.n_leases or 1
  b.rows, b.n_rows, b.kind = s.rows, 1, o.is_retry and C.batch_of_letters or C.batch_of_records
  s.rows[0].emptied_by = o.empties and 0 or -1
  s.states = ffi.new('uint8_t[1]', C.TM_EVENT_OK)
  b.input.events.states, b.input.events.n = s.states, 1
  C.conflict_begin(b)
  s.b = b
  return s
end

local function lock_ms(o) return begins(o).b.attempt.lock_ms end

describe('an attempt at a batch', function()
  it('waits for a lock for two seconds, or twice as long as transactions take', function()
    assert.equal(2000, lock_ms { n_leases = 2 })
    assert.equal(2000, lock_ms { n_leases = 1 })
    assert.equal(2000, lock_ms { took = SECOND })
    assert.equal(9000, lock_ms { n_leases = 2, took = 4.5 * SECOND })
  end)

  it('waits no longer than the session says, whose limit needs no statement', function()
    assert.equal(0, lock_ms { lock_ms = 2000 })
    assert.equal(0, lock_ms { lock_ms = 300, waits = true })
    assert.equal(0, lock_ms { took = 10 * SECOND })
    assert.equal(2000, lock_ms { lock_ms = 2001 })
  end)

  it('waits briefly when its lane waits already, and now and then as long as it takes', function()
    for n = 0, 47 do
      assert.equal(n % 16 == 15 and 0 or 500, lock_ms { waits = true, n_lost = n }, n)
    end
  end)

  it('never takes the last connection for a long wait, nor two of them', function()
    assert.equal(2000, lock_ms { waits = true, n_lost = 15, waits_long = true })
    assert.equal(2000, lock_ms { waits = true, n_lost = 15, concurrency = 1 })
    assert.equal(2000, lock_ms { waits = true, n_lost = 15, pool = 1 })
  end)

  it('at letters waits no longer than others, since records of their lane wait for it', function()
    assert.equal(2000, lock_ms { is_retry = true })
    assert.equal(500, lock_ms { is_retry = true, waits = true, n_lost = 15 })
  end)

  it('waits for the readers of a table that it empties, when its lane is alone', function()
    assert.equal(0, lock_ms { empties = true })
    assert.equal(0, lock_ms { empties = true, waits = true })
    assert.equal(2000, lock_ms { empties = true, n_leases = 2 })
  end)

  it('at a table to be emptied is not the second that waits for readers', function()
    assert.equal(2000, lock_ms { empties = true, waits_long = true })
    assert.equal(2000, lock_ms { empties = true, waits = true, waits_long = true })
  end)

  it('that is the only one at a time waits for readers now and then', function()
    for n = 0, 31 do
      assert.equal(n % 16 == 15 and 0 or 2000,
        lock_ms { empties = true, concurrency = 1, waits = true, n_lost = n }, n)
      assert.equal(n % 16 == 15 and 0 or 2000,
        lock_ms { empties = true, pool = 1, waits = true, n_lost = n }, n)
    end
  end)

  it('of a record that misses is a proof, and behind proofs that show nothing locks rows', function()
    local function attempt(o) return tonumber(begins(o).b.attempt.kind) end
    local USUAL, PROOF = tonumber(C.ATTEMPT_USUAL), tonumber(C.ATTEMPT_PROOF)
    assert.equal(USUAL, attempt { n_missed = 2 })
    assert.equal(PROOF, attempt { n_missed = 3 })
    assert.equal(USUAL, attempt { n_missed = 3, n_leases = 2 })
    assert.equal(PROOF, attempt { n_missed = 3, n_unproven = 2 })
    assert.equal(tonumber(C.ATTEMPT_LOCKED), attempt { n_unproven = 3 })
  end)
end)

describe('a record alone that is cancelled', function()
  local function is_cancel(s, sqlstate)
    local e = ffi.new('struct err')
    ffi.copy(e.sqlstate, sqlstate or '57014')
    return C.conflict_is_cancel(s.b, e)
  end

  it('has lost against others once, and then is to blame', function()
    local s = begins {}
    assert.is_true(is_cancel(s))
    assert.is_false(is_cancel(s))
    assert.is_false(is_cancel(begins {}, '22003'))
  end)

  it('begins anew when its lane is claimed again', function()
    local s = begins {}
    assert.is_true(is_cancel(s))
    C.lane_renew(s.b.input.leases[0].lane)
    assert.is_true(is_cancel(s))
    assert.is_false(is_cancel(s))
  end)

  it('is not to blame while it waits for locks as long as the session allows', function()
    local s = begins { waits = true, n_lost = 15 }
    for _ = 1, 10 do assert.is_true(is_cancel(s)) end
  end)
end)

describe('how long transactions take', function()
  it('is noted at once when it is more, and forgotten slowly', function()
    local run = ffi.new('struct run')
    C.conflict_took(run, 4 * SECOND)
    assert.equal(4 * SECOND, tonumber(run.took))
    C.conflict_took(run, 0)
    assert.equal(3.75 * SECOND, tonumber(run.took))
    for _ = 1, 100 do C.conflict_took(run, SECOND / 100) end
    assert.is_true(tonumber(run.took) < SECOND / 50)
    C.conflict_took(run, SECOND)
    assert.equal(SECOND, tonumber(run.took))
  end)
end)
