local ffi = require 'ffi'
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/batch/lease.h')

local out = ffi.new('struct lease[?]', C.LEASE_MAX_LANES)
local due = ffi.new('usec[1]')

local function limits(size, bytes, linger_ms)
  local l = ffi.new('struct plan_limits')
  l.size, l.bytes, l.linger_ms, l.concurrency = size, bytes or 1e9, linger_ms or 0, 1
  return l
end

-- The lanes that are leased, by partition, and how many records of each.
local function pick(lanes, l, now, others_first)
  local n = C.lease_pick(lanes.c, l, others_first or false, now or 1e6, out, due)
  local parts = {}
  for i = 0, n - 1 do
    parts[#parts + 1] = out[i].lane.partition .. ':' .. out[i].n
  end
  return table.concat(parts, ' '), tonumber(due[0])
end

describe('lease_pick', function()
  it('takes the lanes with the most records first, in the order of the list', function()
    local lanes = flow.lanes { { count = 5 }, { count = 80 }, { count = 9 }, { count = 70 } }
    assert.are.equal('1:80 3:20', (pick(lanes, limits(100))))
    assert.are.equal('1:50', (pick(lanes, limits(50))))
    assert.are.equal('0:5 1:80 2:9 3:70', (pick(lanes, limits(1000))))
    assert.are.equal('1:80 2:5 3:70', (pick(lanes, limits(155))))
  end)

  it('fills what is left of the bytes, but takes one record at least', function()
    local lanes = flow.lanes { { count = 10, bytes = 990 }, { count = 20, bytes = 1980 } }
    assert.are.equal('0:5 1:20', (pick(lanes, limits(1000, 2500))))
    assert.are.equal('1:15', (pick(lanes, limits(1000, 1500))))
    assert.are.equal('1:1', (pick(lanes, limits(1000, 10))))
  end)

  it('waits for linger, from the oldest record on, unless it is full', function()
    local lanes = flow.lanes { { count = 5, since = 7000 }, { count = 6, since = 4000 } }
    local l = limits(100, 1e9, 100)
    assert.are.same({ '', 104000 }, { pick(lanes, l, 103999) })
    assert.are.same({ '0:5 1:6', 0 }, { pick(lanes, l, 104000) })
    assert.are.same({ '0:5 1:6', 0 }, { pick(lanes, limits(11, 1e9, 100), 5000) })
    assert.are.same({ '0:4 1:6', 0 }, { pick(lanes, limits(100, 1100, 100), 5000) })
    assert.are.same({ '', 104000 }, { pick(lanes, limits(12, 1101, 100), 5000) })
  end)

  it('has nothing to wait for without records', function()
    assert.are.same({ '', 0 }, { pick(flow.lanes { {}, {} }, limits(1)) })
    assert.are.same({ '', 0 }, { pick(flow.lanes {}, limits(1)) })
  end)

  it('passes over lanes that are not free', function()
    local lanes = flow.lanes {
      { count = 9, state = 'REVOKED' }, { count = 9, state = 'LEASED' },
      { count = 9, state = 'HALTED' }, { count = 9, state = 'STALE' }, { count = 2 },
      { count = 9, state = 'WANTS_KEYS' }, { count = 9, state = 'OFFERED' },
    }
    assert.are.equal('4:2', (pick(lanes, limits(100))))
  end)

  it('a lease says where the lane stood', function()
    local lanes = flow.lanes { { count = 3, position = 41, epoch = 7 } }
    pick(lanes, limits(100))
    assert.are.same({ 7, 41, -1 },
      { tonumber(out[0].epoch), tonumber(out[0].start), out[0].halt })
  end)

  it('takes a lane under suspicion alone, at once, and only what is to be tried', function()
    local lanes = flow.lanes {
      { count = 90 }, { count = 50, search = { left = 8, probe = 4 } }, { count = 70 },
    }
    assert.are.equal('1:4', (pick(lanes, limits(1000, 1e9, 1e6), 1)))
    lanes:give(1, 3, 5000)
    assert.are.equal('1:3', (pick(lanes, limits(1000))))
    lanes:lease(1)
    assert.are.equal('0:90 2:70', (pick(lanes, limits(1000))))
  end)

  it('takes a lane that waits for others alone, and not before its pause is over', function()
    local lanes = flow.lanes {
      { count = 9, wait = { retry_at = 500 }, search = { left = 4, probe = 2 } },
      { count = 7, wait = { retry_at = 400 }, search = { left = 1, probe = 1 } }, { count = 5 },
    }
    assert.are.equal('2:5', (pick(lanes, limits(100), 399)))
    assert.are.equal('1:1', (pick(lanes, limits(100), 450)))
    assert.are.equal('1:1', (pick(lanes, limits(100), 900)))
    lanes:lease(1)
    assert.are.equal('0:2', (pick(lanes, limits(100), 900)))
  end)

  it('takes it behind the others where it had its turn, and at once without them', function()
    local lanes = flow.lanes {
      { count = 9, wait = { retry_at = 1 }, search = { left = 1, probe = 1 } },
      { count = 5, since = 1000 }, { count = 3, search = { left = 3, probe = 1 } },
    }
    assert.are.equal('0:1', (pick(lanes, limits(100), 2000, false)))
    assert.are.equal('1:5', (pick(lanes, limits(100), 2000, true)))
    lanes:lease(2)
    assert.are.equal('1:5', (pick(lanes, limits(100), 2000, true)))
    -- What lingers is not due yet.
    assert.are.equal('0:1', (pick(lanes, limits(100, 1e9, 100), 2000, true)))
    lanes:lease(0)
    assert.are.same({ '', 101000 }, { pick(lanes, limits(100, 1e9, 100), 2000, true) })
  end)

  it('gives a lane that is searched, and one behind a bad record, no more than its turn', function()
    local lanes = flow.lanes {
      { count = 9, search = { left = 4, probe = 2 }, since = 30 }, { count = 5, search = { cap = 8 }, since = 20 },
      { count = 7, since = 40 }, { count = 4, wait = { retry_at = 10 }, search = { left = 1, probe = 1 } },
    }
    assert.are.equal('3:1', (pick(lanes, limits(100), 2000)))
    assert.are.equal('2:7', (pick(lanes, limits(100), 2000, true)))
    lanes:set(3, { wait = { retry_at = 25 } })
    assert.are.equal('1:5', (pick(lanes, limits(100), 2000)))
    assert.is_true(C.lease_is_alone(lanes[1]))
    lanes:lease(1)
    lanes:lease(3)
    assert.are.equal('0:2', (pick(lanes, limits(100), 2000)))
    lanes:lease(2)
    assert.are.equal('0:2', (pick(lanes, limits(100), 2000, true)))
    assert.is_false(C.lease_is_alone(lanes[2]))
  end)

  it('takes no more lanes than a batch can lease', function()
    local list = {}
    for i = 1, C.LEASE_MAX_LANES + 10 do list[i] = { count = i } end
    local lanes = flow.lanes(list)
    assert.are.equal(C.LEASE_MAX_LANES, C.lease_pick(lanes.c, limits(1e6), false, 1, out, due))
    for i = 0, C.LEASE_MAX_LANES - 1 do
      assert.are.equal(i + 10, out[i].lane.partition)
    end
  end)

  it('for any lanes: in order, each once, within the limits, leaving no fatter lane', function()
    math.randomseed(11)
    for _ = 1, core.rounds(2000) do
      local list, by = {}, {}
      for i = 1, math.random(1, 12) do
        local count = math.random(0, 30)
        list[i] = { count = count, bytes = count * math.random(1, 50),
                    state = count > 0 and math.random(4) == 1 and 'LEASED' or nil }
      end
      local size, lanes = math.random(1, 120), flow.lanes(list)
      local n = C.lease_pick(lanes.c, limits(size, math.random(100, 3000)), false, 1e6, out, due)
      local total, thinnest = 0, math.huge
      for i = 0, n - 1 do
        local partition = out[i].lane.partition
        assert(not by[partition] and (i == 0 or partition > out[i - 1].lane.partition))
        assert(out[i].n >= 1 and out[i].n <= list[partition + 1].count)
        by[partition], total = true, total + out[i].n
        thinnest = math.min(thinnest, list[partition + 1].count)
      end
      assert(total <= size)
      for i, fields in ipairs(list) do
        if not by[i - 1] and not fields.state and fields.count > 0 then
          assert(n > 0 and fields.count <= thinnest)
        end
      end
    end
  end)
end)

describe('a lane whose batch took too much', function()
  it('is taken alone, with half of the records, down to one', function()
    local lanes = flow.lanes { { count = 90 }, { count = 50 } }
    C.lease_halve(lanes[0], 64, false)
    C.lane_place_again(lanes[0])
    assert.are.equal('0:64', (pick(lanes, limits(1000))))
    for _, most in ipairs { 32, 16, 8, 4, 2, 1, 1 } do
      C.lease_halve(lanes[0], out[0].n, true)
      assert.are.equal('0:' .. most, (pick(lanes, limits(1000))))
    end
  end)

  it('has no more of them in a search for a bad record', function()
    local lanes = flow.lanes { { count = 90, search = { left = 80, probe = 40 }, most = 7 } }
    assert.are.equal('0:7', (pick(lanes, limits(1000))))
    lanes:set(0, { most = 50 })
    assert.are.equal('0:40', (pick(lanes, limits(1000))))
  end)

  it('grows by a quarter with each commit, until it shares batches again', function()
    local lanes, sizes = flow.lanes { { count = 1e6 }, { count = 1 } }, {}
    lanes:set(0, { most = 3 })
    for i = 1, 8 do
      C.lease_grow(lanes[0], 20)
      C.lane_place_again(lanes[0])
      sizes[i] = pick(lanes, limits(20))
    end
    assert.are.equal('0:4 0:6 0:8 0:11 0:14 0:18 0:20 0:20', table.concat(sizes, ' '))
    C.lease_grow(lanes[0], 20)
    assert.are.equal(0, lanes[0].most)
  end)

  it('takes turns with the other lanes, and none waits for ever', function()
    local list, served = {}, {}
    for i = 1, 6 do list[i] = { count = 1e6, since = i, most = i <= 3 and 5 or 0 } end
    local lanes = flow.lanes(list)
    for now = 10, 29 do
      for i = 0, C.lease_pick(lanes.c, limits(1000), false, now, out, due) - 1 do
        local lane = out[i].lane
        served[lane.partition + 1] = (served[lane.partition + 1] or 0) + 1
        lanes:give(lane.partition, 1e6 - now, nil, now)
      end
    end
    for i = 1, 6 do assert(served[i] >= 3) end
  end)

  it('waits for linger like the others, unless it has what it may take', function()
    local lanes = flow.lanes { { count = 5, since = 7000, most = 6 },
                               { count = 5, since = 4000 }, { count = 9, since = 9000, most = 9 } }
    lanes:lease(2)
    local l = limits(100, 1e9, 100)
    assert.are.same({ '', 104000 }, { pick(lanes, l, 103999) })
    assert.are.same({ '1:5', 0 }, { pick(lanes, l, 104000) })
    lanes:lease(1)
    assert.are.same({ '', 107000 }, { pick(lanes, l, 104000) })
    lanes:free(2)
    assert.are.same({ '2:9', 0 }, { pick(lanes, l, 10000) })
    lanes:lease(2)
    lanes:set(0, { most = 5 })
    assert.are.same({ '0:5', 0 }, { pick(lanes, l, 10000) })
  end)
end)

-- A database that refuses every batch that holds a bad record. Records of a
-- lane have the numbers 0, 1, ...; bad[partition] has those that are refused.
-- One that is refused alone is known from then on, and moved over.
local Database = {}
Database.__index = Database

local function holds_bad(self, lease)
  local lane = lease.lane.partition
  for i = self.done[lane], self.done[lane] + lease.n - 1 do
    if self.bad[lane] and self.bad[lane][i] and not self.known[lane][i] then return true end
  end
end

local function commit(self, lanes, n)
  for i = 0, n - 1 do
    local lane, took = out[i].lane, out[i].n
    self.done[lane.partition] = self.done[lane.partition] + took
    C.lease_cleared(lane, took)
    lanes:give(lane.partition, lane.waiting.n - took)
    lanes:free(lane.partition)
  end
end

local function refuse(self, n)
  local lane = out[0].lane
  if n == 1 and out[0].n == 1 then
    self.known[lane.partition][self.done[lane.partition]] = true
    C.lease_found(lane)
  else
    for i = 0, n - 1 do C.lease_search(out[i].lane, out[i].n, n == 1) end
  end
  for i = 0, n - 1 do C.lane_end_lease(out[i].lane) end
end

-- One batch; false when there is nothing to do any more.
function Database:step(lanes, l)
  local n = C.lease_pick(lanes.c, l, false, 1e6, out, due)
  local is_refused = false
  for i = 0, n - 1 do
    assert(out[i].n > 0, 'an empty lease would be tried for ever')
    is_refused = is_refused or holds_bad(self, out[i])
    self.records = self.records + out[i].n
  end
  for i = 0, n - 1 do C.lane_lease(out[i].lane) end
  if is_refused then refuse(self, n) elseif n > 0 then commit(self, lanes, n) end
  self.probes = self.probes + 1
  return n > 0
end

-- bad: { [partition] = list of numbers }
local function database(n_lanes, bad)
  local self = { bad = {}, known = {}, done = {}, probes = 0, records = 0 }
  for i = 0, n_lanes - 1 do
    self.done[i], self.known[i], self.bad[i] = 0, {}, {}
    for _, number in ipairs(bad[i] or {}) do self.bad[i][number] = true end
  end
  return setmetatable(self, Database)
end

local function most_probes(n) return 2 * math.log(n) / math.log(2) + 1 end

describe('isolation of a bad record', function()
  it('finds it in one lane within 2 * log2(n) + 1 probes, wherever it stands', function()
    for _, n in ipairs { 1, 2, 3, 4, 5, 7, 8, 31, 100, 129 } do
      for bad = 0, n - 1 do
        local lanes, db = flow.lanes { { count = n } }, database(1, { [0] = { bad } })
        -- The refusal that began it is no probe.
        db:step(lanes, limits(n))
        db.probes = 0
        while not db.known[0][bad] do assert(db:step(lanes, limits(n))) end
        assert.are.equal(bad, db.done[0])
        assert(n == 1 and db.probes == 0 or db.probes <= most_probes(n),
          ('%d probes for record %d of %d'):format(db.probes, bad, n))
      end
    end
  end)

  it('for random large lanes', function()
    math.randomseed(3)
    for _ = 1, core.rounds(300) do
      local n = math.random(2, 10000)
      local bad = math.random(0, n - 1)
      local lanes, db = flow.lanes { { count = n } }, database(1, { [0] = { bad } })
      db:step(lanes, limits(n))
      db.probes = 0
      while not db.known[0][bad] do assert(db:step(lanes, limits(n))) end
      assert.are.equal(bad, db.done[0])
      assert(db.probes <= most_probes(n))
    end
  end)

  it('moves over every record of every lane, in order, whatever is bad', function()
    math.randomseed(5)
    for _ = 1, core.rounds(400) do
      local list, bad = {}, {}
      for i = 1, math.random(1, 6) do
        local n = math.random(1, 60)
        list[i], bad[i - 1] = { count = n }, {}
        for _ = 1, math.random(0, 4) do
          bad[i - 1][#bad[i - 1] + 1] = math.random(0, n - 1)
        end
      end
      local lanes, db = flow.lanes(list), database(#list, bad)
      while db:step(lanes, limits(math.random(1, 200))) do assert(db.probes < 2000) end
      for i, fields in ipairs(list) do
        assert.are.equal(fields.count, db.done[i - 1])
        assert.are.same(db.bad[i - 1], db.known[i - 1])
      end
    end
  end)

  it('of a thousand in a lane handles few records more than once', function()
    math.randomseed(8)
    local n, bad = 100000, {}
    for i = 1, 1000 do bad[i] = math.random(0, n - 1) end
    local lanes, db = flow.lanes { { count = n } }, database(1, { [0] = bad })
    while db:step(lanes, limits(10000)) do assert(db.probes < 40000) end
    assert.are.equal(n, db.done[0])
    assert(db.probes < 14 * 1000, db.probes .. ' transactions')
    assert(db.records < 8 * n, db.records .. ' records handled')
  end)

  it('ends when every record that was suspected has been committed', function()
    local lanes = flow.lanes { { count = 10 } }
    C.lease_search(lanes[0], 10, true)
    for _, probe in ipairs { 5, 3, 1, 1 } do
      assert.are.equal(probe, lanes[0].search.probe)
      C.lease_cleared(lanes[0], lanes[0].search.probe)
    end
    assert.are.equal(0, lanes[0].search.left)
    C.lane_place_again(lanes[0])
    assert.are.equal('0:10', (pick(lanes, limits(100))))
  end)

  it('what was never suspected is not suspected after a commit', function()
    local lanes = flow.lanes { { count = 10 } }
    C.lease_cleared(lanes[0], 4)
    assert.are.same({ 0, 0 }, { lanes[0].search.left, lanes[0].search.probe })
  end)

  it('batches behind a bad record double until it is far away', function()
    local lanes, sizes = flow.lanes { { count = 1e6 } }, {}
    C.lease_found(lanes[0])
    C.lane_place_again(lanes[0])
    assert.are.equal('0:1', (pick(lanes, limits(10000))))
    C.lease_cleared(lanes[0], 1)
    for i = 1, 12 do
      sizes[i] = pick(lanes, limits(10000))
      C.lease_cleared(lanes[0], out[0].n)
      C.lane_place_again(lanes[0])
    end
    assert.are.equal('0:8 0:16 0:32 0:64 0:128 0:256 0:512 0:1024 0:2048 0:4096 0:10000 0:10000',
      table.concat(sizes, ' '))
  end)
end)

-- Lanes some of whose records are locked by somebody else until a step; flow/run/conflict.c
-- without a server. Each batch takes a step, one that meets a lock too.
describe('lanes that meet a lock', function()
  local function is_locked(db, lease, step)
    local lane = lease.lane.partition
    for i = db.done[lane], db.done[lane] + lease.n - 1 do
      if db.locked[lane] and db.locked[lane][i] and step < db.until_step then return true end
    end
  end

  local function part(n, step)
    for i = 0, n - 1 do
      local lane = out[i].lane
      C.lease_search(lane, out[i].n, n == 1)
      lane.wait.retry_at = step + 1
      C.lane_end_lease(lane)
    end
  end

  local function clear(db, lanes, n)
    for i = 0, n - 1 do
      local lane, took = out[i].lane, out[i].n
      db.done[lane.partition] = db.done[lane.partition] + took
      C.lease_cleared(lane, took)
      if lane.search.left == 0 then lane.wait.retry_at = 0 end
      lanes:give(lane.partition, lane.waiting.n - took)
      lanes:free(lane.partition)
    end
  end

  local function run(list, db, l, steps)
    local lanes, had_waiting = flow.lanes(list), false
    for step = 1, steps do
      local n = C.lease_pick(lanes.c, l, had_waiting, step, out, due)
      local blocked = false
      if n == 0 then return step end
      had_waiting = out[0].lane.wait.retry_at ~= 0
      for i = 0, n - 1 do C.lane_lease(out[i].lane) end
      for i = 0, n - 1 do blocked = blocked or is_locked(db, out[i], step) end
      if blocked then part(n, step) else clear(db, lanes, n) end
    end
    return steps
  end

  local function model(list, locked, until_step)
    local db = { done = {}, locked = locked, until_step = until_step }
    for i = 1, #list do db.done[i - 1] = 0 end
    return db
  end

  it('stop in front of it, while all other lanes go on to their end', function()
    local list, locked = {}, {}
    for i = 1, 40 do
      list[i] = { count = 100 }
      if i > 1 then locked[i - 1] = { [i] = true } end
    end
    local db = model(list, locked, 1e9)
    run(list, db, limits(10), 2000)
    assert.are.equal(100, db.done[0])
    for i = 2, 40 do assert.are.equal(i, db.done[i - 1]) end
  end)

  it('go on when it is gone, whatever was locked, and in large batches', function()
    math.randomseed(12)
    for _ = 1, core.rounds(200) do
      local list, locked = {}, {}
      for i = 1, math.random(1, 6) do
        list[i], locked[i - 1] = { count = math.random(1, 60) }, {}
        for _ = 1, math.random(0, 3) do locked[i - 1][math.random(0, 59)] = true end
      end
      local db = model(list, locked, math.random(1, 100))
      assert(run(list, db, limits(math.random(1, 200)), 3000) < 3000)
      for i, fields in ipairs(list) do assert.are.equal(fields.count, db.done[i - 1]) end
    end
    local list = { { count = 10000 } }
    local db = model(list, { [0] = { [5000] = true } }, 50)
    assert(run(list, db, limits(10000), 200) < 80)
    assert.are.equal(10000, db.done[0])
  end)
end)
