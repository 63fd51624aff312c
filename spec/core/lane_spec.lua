-- The states of a lane: each is in the list that its state names, and in no other,
-- whatever befalls it; and what there is no way for ends the process.
local ffi = require 'ffi'
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

ffi.cdef [[
int fork(void);
int waitpid(int pid, int *status, int options);
void _exit(int status);
int close(int fd);
]]

local STATES = { 'REVOKED', 'OFFERED', 'STALE', 'CLAIMING', 'LEFT_OUT', 'GONE', 'WANTS_KEYS',
                 'IDLE', 'READY', 'NARROW', 'SEARCHED', 'WAITING', 'LEASED', 'PAUSED', 'HALTED' }
local N_STATES = tonumber(C.LANE_STATES)

local function name(lane) return STATES[tonumber(lane.state) + 1] end

-- Does the process end of it?
local function aborts(fn)
  local pid = ffi.C.fork()
  if pid == 0 then
    ffi.C.close(2)
    fn()
    ffi.C._exit(0)
  end
  local status = ffi.new('int[1]')
  assert(ffi.C.waitpid(pid, status, 0) == pid)
  return bit.band(status[0], 0x7f) ~= 0 or bit.rshift(status[0], 8) ~= 0
end

-- The lists hold each lane once, where its state says.
local function check_lists(lanes, n)
  local seen, total = {}, 0
  for s = 0, N_STATES - 1 do
    local lane, count = C.lanes_in(lanes.c, s), 0
    while lane ~= nil do
      assert(tonumber(lane.state) == s and not seen[lane.partition], 'in two lists')
      seen[lane.partition], count = true, count + 1
      lane = C.lanes_next(lane)
    end
    assert(count == lanes.c['in'][s].n)
    total = total + count
  end
  assert(total == n, 'in no list')
end

describe('a lane', function()
  it('has a list for each of its states', function()
    assert.are.equal(N_STATES, #STATES)
    for i, state in ipairs(STATES) do assert.are.equal(i - 1, tonumber(C['LANE_' .. state])) end
  end)

  it('is made when its partition is given, in (topic, partition) order, and is found again', function()
    local lanes = flow.lanes { {}, {}, {} }
    local lane, n = lanes.c.first, 0
    while lane ~= nil do
      assert.are.equal(n, lane.partition)
      assert.is_true(lane == lanes[n] and lane.kafka.lane == ffi.cast('void *', lane))
      lane, n = lane.after, n + 1
    end
    assert.are.equal(3, n)
    C.lanes_take(lanes.c, lanes.partitions)
    assert.is_true(lanes.c.first == lanes[0])
  end)

  it('goes where its keys and records say once nothing keeps it', function()
    local function placed(fields) return name(flow.lanes({ fields })[0]) end
    assert.are.equal('WANTS_KEYS', placed { count = 5, state = 'WANTS_KEYS' })
    assert.are.equal('IDLE', placed {})
    assert.are.equal('READY', placed { count = 5 })
    assert.are.equal('NARROW', placed { count = 5, most = 3 })
    assert.are.equal('SEARCHED', placed { count = 5, most = 3, search = { cap = 8 } })
    assert.are.equal('SEARCHED', placed { count = 5, search = { left = 1 } })
    assert.are.equal('WAITING', placed { count = 5, search = { left = 1 }, wait = { retry_at = 1 } })
  end)

  it('becomes what counts most of all that befell it while it was leased', function()
    local function after(...)
      local lanes = flow.lanes { { count = 5, state = 'LEASED' } }
      for _, to in ipairs { ... } do C.lane_become(lanes[0], C['LANE_' .. to]) end
      assert.are.equal('LEASED', name(lanes[0]))
      lanes:free(0)
      return name(lanes[0])
    end
    assert.are.equal('READY', after())
    assert.are.equal('PAUSED', after('PAUSED'))
    assert.are.equal('HALTED', after('PAUSED', 'HALTED'))
    assert.are.equal('HALTED', after('HALTED', 'PAUSED'))
    assert.are.equal('STALE', after('STALE', 'HALTED'))
    assert.are.equal('STALE', after('HALTED', 'STALE'))
    assert.are.equal('REVOKED', after('HALTED', 'STALE', 'REVOKED'))
    assert.are.equal('OFFERED', after('REVOKED', 'OFFERED', 'STALE'))
    assert.are.equal('REVOKED', after('OFFERED', 'REVOKED', 'PAUSED'))
  end)

  it('that halts before its keys are known halts, and stands once they are', function()
    local lanes = flow.lanes { { count = 5, state = 'WANTS_KEYS' } }
    C.lane_become(lanes[0], C.LANE_HALTED)
    assert.are.same({ 'WANTS_KEYS', true }, { name(lanes[0]), C.lane_is_halted(lanes[0]) })
    C.lane_has_keys(lanes[0])
    assert.are.equal('HALTED', name(lanes[0]))
  end)

  it('that stands gives its records to a retry of letters, and stands again', function()
    for _, state in ipairs { 'HALTED', 'PAUSED' } do
      local lanes = flow.lanes { { count = 5, state = state } }
      lanes:lease(0)
      assert.is_true(C.lane_is_halted(lanes[0]))
      lanes:free(0)
      assert.are.equal(state, name(lanes[0]))
    end
  end)

  it('of a claim that fails is where it was', function()
    for _, state in ipairs { 'OFFERED', 'STALE' } do
      local lanes = flow.lanes { { state = state } }
      C.lane_claim(lanes[0])
      C.lane_unclaim(lanes[0])
      assert.are.equal(state, name(lanes[0]))
    end
  end)

  it('has no way past a claim, its keys, or a batch that has it', function()
    local function moves(from, to)
      local lanes = flow.lanes { { count = 5, state = from ~= 'READY' and from or nil } }
      return not aborts(function() C.lane_move(lanes[0], C['LANE_' .. to]) end)
    end
    assert.is_true(moves('OFFERED', 'CLAIMING'))
    assert.is_false(moves('OFFERED', 'READY'))
    assert.is_false(moves('OFFERED', 'WANTS_KEYS'))
    assert.is_false(moves('STALE', 'READY'))
    assert.is_false(moves('REVOKED', 'LEASED'))
    assert.is_false(moves('WANTS_KEYS', 'LEASED'))
    assert.is_false(moves('LEASED', 'LEASED'))
    assert.is_false(moves('LEASED', 'CLAIMING'))
    assert.is_false(moves('HALTED', 'READY'))
    assert.is_false(moves('READY', 'CLAIMING'))
  end)
end)

-- The model knows no lists: only what is true of a lane, as its owner would say it.
local function belongs(m)
  if not m.is_given then return 'REVOKED' end
  if not m.is_claimed then return 'OFFERED' end
  if m.is_in_doubt then return 'STALE' end
  if m.halt == 'PAUSED' then return 'PAUSED' end
  if not m.has_keys then return 'WANTS_KEYS' end
  if m.halt then return 'HALTED' end
  if m.count == 0 then return 'IDLE' end
  if m.waits then return 'WAITING' end
  if m.left > 0 then return 'SEARCHED' end
  return m.most > 0 and 'NARROW' or 'READY'
end

local function expected(m)
  if m.is_leased then return 'LEASED' end
  return m.is_claiming and 'CLAIMING' or m.left_out or belongs(m)
end

local function clear(m)
  m.is_claimed, m.is_claiming, m.left_out, m.halt, m.is_in_doubt = false, false, nil, nil, false
end

local function is_ours(m) return m.is_given and m.is_claimed and not m.is_in_doubt
  and not m.is_claiming and not m.left_out end

-- Each may happen to a lane [l] of which [m] is true; false: not now.
local EVENTS = {
  function(lanes, _, m, p) -- the group gives it
    p.is_offered, p.is_assigned, p.n_offers = true, false, p.n_offers + 1
    clear(m)
    m.is_given = true
    if not m.is_leased then m.count, p.inbox.count = 0, 0 end
    C.lanes_take(lanes.c, lanes.partitions)
  end,
  function(lanes, _, m, p) -- or takes it
    p.is_offered, p.is_assigned = false, false
    clear(m)
    m.is_given, m.has_keys = false, m.is_leased and m.has_keys
    if not m.is_leased then m.count, p.inbox.count = 0, 0 end
    C.lanes_take(lanes.c, lanes.partitions)
  end,
  function(_, l, m) -- a claim begins
    local s = expected(m)
    if not ({ OFFERED = 1, STALE = 1, LEFT_OUT = 1, GONE = 1 })[s] then return false end
    C.lane_claim(l)
    m.is_claiming = true
  end,
  function(_, l, m) -- fails
    if not m.is_claiming then return false end
    C.lane_unclaim(l)
    m.is_claiming = false
  end,
  function(_, l, m) -- leaves it out
    if not m.is_claiming then return false end
    m.left_out, m.is_claiming = math.random(2) == 1 and 'LEFT_OUT' or 'GONE', false
    C.lane_move(l, C['LANE_' .. m.left_out])
  end,
  function(_, l, m, p) -- ends
    if not m.is_claiming then return false end
    p.is_offered, p.is_assigned, p.inbox.count = false, true, 0
    C.lane_claimed(l)
    clear(m)
    m.is_claimed, m.has_keys, m.left, m.count = true, false, 0, 0
  end,
  function(_, l, m) -- its keys are told
    if expected(m) ~= 'WANTS_KEYS' then return false end
    C.lane_has_keys(l)
    m.has_keys = true
  end,
  function(_, l, m, p) -- records come
    if not is_ours(m) or m.halt == 'HALTED' then return false end
    m.count = m.count + math.random(9)
    p.inbox.count = m.count
    if l.state == C.LANE_IDLE then C.lane_place(l) end
  end,
  function(_, l, m) -- a batch takes it
    local s = expected(m)
    if not ({ READY = 1, NARROW = 1, SEARCHED = 1, WAITING = 1, IDLE = 1, HALTED = 1, PAUSED = 1 })[s] then
      return false
    end
    C.lane_lease(l)
    m.is_leased = true
  end,
  function(_, l, m, p) -- and ends, with what it found
    if not m.is_leased then return false end
    if is_ours(m) then
      m.count = m.halt == 'HALTED' and 0 or math.random(0, m.count)
      m.waits, m.left, m.most = math.random(5) == 1, math.random(0, 2), math.random(0, 1)
      m.has_keys = m.has_keys and math.random(6) > 1
      l.wait.retry_at, l.search.left, l.most = m.waits and 1 or 0, m.left, m.most
      l.keys.are_known = m.has_keys
    else
      m.count = 0
    end
    p.inbox.count = m.count
    m.is_leased = false
    if not m.is_given then m.has_keys = false end
    C.lane_end_lease(l)
  end,
  function(_, l, m) -- it may be stale
    if not is_ours(m) or (m.halt == 'PAUSED' and not m.is_leased) then return false end
    C.lane_become(l, C.LANE_STALE)
    m.is_in_doubt = true
  end,
  function(_, l, m, p) -- it halts
    if not is_ours(m) then return false end
    C.lane_become(l, C.LANE_HALTED)
    m.halt = 'HALTED'
    if not m.is_leased then m.count, p.inbox.count = 0, 0 end
  end,
  function(_, l, m) -- it pauses: a batch of it failed, or its keys are too many
    if not is_ours(m) or m.halt == 'HALTED' or not (m.is_leased or expected(m) == 'WANTS_KEYS') then
      return false
    end
    C.lane_become(l, C.LANE_PAUSED)
    m.halt = 'PAUSED'
  end,
  function(_, l, m) -- and goes on
    if expected(m) ~= 'PAUSED' then return false end
    C.lane_place(l)
    m.halt = nil
  end,
}

describe('lanes', function()
  it('are where a model of them says, each in one list, whatever comes', function()
    local seed = tonumber(os.getenv('SEED')) or os.time()
    math.randomseed(seed)
    local N, hits = 6, {}
    local list, models = {}, {}
    for i = 1, N do
      list[i] = { state = 'OFFERED' }
      models[i] = { is_given = true, count = 0, left = 0, most = 0 }
    end
    local lanes = flow.lanes(list)
    for i = 1, N do models[i].is_claimed, models[i].is_in_doubt = false, false end
    for step = 1, core.rounds(300000) do
      local i, e = math.random(N), math.random(#EVENTS)
      local m, l = models[i], lanes[i - 1]
      if (e > 2 or math.random(8) == 1) and EVENTS[e](lanes, l, m, l.kafka) ~= false then
        hits[e] = (hits[e] or 0) + 1
        assert(name(l) == expected(m),
          ('seed %d, step %d, event %d: %s, not %s'):format(seed, step, e, name(l), expected(m)))
        assert(C.lane_is_ours(l) == is_ours(m), 'ours')
        if is_ours(m) then assert(C.lane_is_halted(l) == (m.halt ~= nil), 'halted') end
        if step % 50 == 0 then check_lists(lanes, N) end
      end
    end
    check_lists(lanes, N)
    for e = 1, #EVENTS do assert((hits[e] or 0) > 10, 'event ' .. e .. ' never came') end
  end)
end)
