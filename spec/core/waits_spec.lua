-- What a lane that stands says of itself, and what counts as its lag.
local ffi = require 'ffi'
local flow = require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/waits/waits.h', 'flow/lane/lane.h', 'kafka/source.h', 'flow/show/show.h',
  'flow/show/lane_waits.h', 'flow/claim/left_out.h', 'admin/view.h')

local SECOND = 1000000

local function words(fields, now)
  fields.eof = fields.eof or -1
  local lanes = flow.lanes { { kafka = fields } }
  local out = ffi.new('char[400]')
  return tonumber(C.lane_waits(lanes[0], now * SECOND, out, 400)), ffi.string(out)
end

describe('a lane that is read', function()
  it('is well when it is at its end, and says nothing', function()
    assert.are.same({ 0, '' }, { words({ high = 7, eof = 7, fetched = 7 }, 5000) })
  end)

  it('says what Kafka says, and blocks after ten seconds', function()
    local fields = { trouble = 'damaged', troubled_at = 100 * SECOND }
    assert.are.same({ tonumber(C.WAIT_NOTED), 'damaged' }, { words(fields, 109) })
    assert.are.same({ tonumber(C.WAIT_BLOCKED), 'damaged' }, { words(fields, 110) })
  end)

  it('names an open transaction once it lasts, and blocks when it must hang', function()
    local fields = { high = 20, eof = 7, open_since = 100 * SECOND }
    assert.are.same({ 0, '' }, { words(fields, 109) })
    local wait, text = words(fields, 110)
    assert.are.equal(tonumber(C.WAIT_NOTED), wait)
    assert.matches('^13 records from offset 7 on stand behind a transaction .* for 10 s: ', text)
    assert.are.equal(tonumber(C.WAIT_BLOCKED), (words(fields, 1000)))
  end)
end)

describe('a lane that gets nothing though there is something', function()
  it('says so after half a minute, and does not block', function()
    local fields = { high = 20, starved_since = 100 * SECOND }
    assert.are.same({ 0, '' }, { words(fields, 129) })
    local wait, text = words(fields, 130)
    assert.are.equal(tonumber(C.WAIT_NOTED), wait)
    assert.matches('^nothing has come for 30 s though Kafka has records up to offset 20', text)
    assert.are.equal(tonumber(C.WAIT_NOTED), (words(fields, 5000)))
  end)
end)

describe('a librdkafka that damages what it keeps of topics', function()
  it('is one from 2.4 on, and none from 2.10 on', function()
    for _, version in ipairs { 0x020400ff, 0x020401ff, 0x020800ff, 0x020900ff } do
      assert.is_true(C.source_damages_cache(version))
    end
    for _, version in ipairs { 0x010900ff, 0x020002ff, 0x020300ff, 0x020a00ff, 0x020e02ff } do
      assert.is_false(C.source_damages_cache(version))
    end
  end)
end)

describe('a worker that waits for several things', function()
  local plan = ffi.new('struct plan')
  local show, waits, lanes = ffi.new('struct show'), ffi.new('struct waits'), ffi.new('struct lanes')
  local claim = ffi.new('struct waits_claim')
  local loop, topics = C.loop_new(), ffi.new('const char *[1]', { 't' })
  local e, page = ffi.new('struct err'), ffi.gc(C.page_new(1), C.page_free)
  local counts, source = page.workers[0], nil

  setup(function()
    plan.source.brokers, plan.source.group = 'localhost:1', 'g'
    plan.source.topics, plan.source.n_topics = topics, 1
    C.show_init(show, page, 0)
    show.is_ready = true
    source = C.source_new(loop, plan.source, nil, ffi.cast('loop_fn', C.loop_stop), loop, e)
    assert(source ~= nil, ffi.string(e.text))
    C.waits_open(waits, ffi.new('struct waits_needs', { source, lanes, show, plan, nil }))
    waits.looked_at, waits.halted_at = 2 ^ 62, 2 ^ 62
  end)
  teardown(function()
    C.source_free(source)
    C.loop_free(loop)
  end)

  -- What a look of that time tells anew, and what it shows.
  local function look(second)
    local told = waits.logged
    C.waits_tick(waits, claim, second * SECOND)
    return bit.band(waits.logged, bit.bnot(told)), ffi.string(counts.waiting_for)
  end

  it('tells and shows each of them, and is ready when the last one is over', function()
    C.show_reason(show, C.REASON_LANES, 'lane t/0: ', 'a lock')
    waits.apart_since, waits.has_joined = 100 * SECOND, false
    local news, text = look(120)
    assert.equal(2, news)
    assert.matches("^lane t/0: a lock; the Kafka group 'g' has given this worker nothing to read for 20 s", text)
    claim.asked_at, claim.n_lanes = 100 * SECOND, 3
    news, text = look(130)
    assert.equal(4, news)
    assert.matches('nothing to read for 30 s.*; the database has not answered for 30 s to the claim of 3 lanes', text)
    news = look(140)
    assert.equal(0, news)
    waits.apart_since, claim.asked_at = 0, 0
    assert.same({ 0, 'lane t/0: a lock' }, { look(150) })
    assert.equal(0, counts.is_ready)
    C.show_reason(show, C.REASON_LANES, '', '')
    assert.same({ 1, '' }, { counts.is_ready, ffi.string(counts.waiting_for) })
    claim.asked_at = 150 * SECOND
    assert.equal(4, (look(170)))
    claim.asked_at = 0
    look(180)
  end)
end)

describe('a lane that others had to wait for', function()
  it('is claimed when no other wants to be, and once it is overdue', function()
    local lanes = flow.lanes { { state = 'STALE' }, { state = 'STALE' } }
    for i = 0, 1 do C.lane_move(lanes[i], C.LANE_LEFT_OUT) end
    lanes[0].left_out.is_slow, lanes[0].left_out.retry_at = true, 20 * SECOND
    local function turn(now, due)
      lanes[1].left_out.retry_at = due * SECOND
      return C.left_out_is_turn_of_slow(lanes.c, now * SECOND)
    end
    assert.is_true(turn(20, 21))
    assert.is_false(turn(20, 20))
    assert.is_false(turn(29, 21))
    assert.is_true(turn(30, 21))
  end)
end)

describe('lag', function()
  local function lag(fields)
    local p = ffi.new('struct page_lane', { state = C.PAGE_LANE_RUNNING, stored = -1 })
    for name, value in pairs(fields) do p[name] = value end
    return tonumber(C.view_lag(p))
  end

  it('is what lies between the position and the end of the partition', function()
    assert.are.equal(3, lag { position = 4, high = 7 })
    assert.are.equal(0, lag { position = 7, high = 7 })
    assert.are.equal(0, lag { position = 8, high = 7 })
    assert.are.equal(0, lag { position = -1, high = 7 })
    assert.are.equal(0, lag { position = 4, high = -1 })
  end)

  it('of a lane that is halted past its end is all of the partition', function()
    assert.are.equal(7, lag { state = C.PAGE_LANE_HALTED, position = 100, high = 7 })
    assert.are.equal(3, lag { state = C.PAGE_LANE_HALTED, position = 4, high = 7 })
  end)

  it('of a lane that nobody reads counts from what the database has of it', function()
    local nobody = { state = C.PAGE_LANE_UNOWNED, worker = -1, waits = C.WAIT_BLOCKED,
                     position = 5, first = 2, high = 30 }
    assert.are.equal(28, lag(nobody))
    nobody.stored = 20
    assert.are.equal(10, lag(nobody))
    nobody.waits = C.WAIT_NONE
    assert.are.equal(25, lag(nobody))
  end)

  it('of a lane that is ours, and cannot be claimed yet, counts from where it was', function()
    local waits = { state = C.PAGE_LANE_UNOWNED, worker = 1, waits = C.WAIT_BLOCKED,
                    position = 5, epoch = 3, stored = 2, high = 30 }
    assert.are.equal(25, lag(waits))
    waits.position, waits.epoch, waits.stored = 0, 0, 20 -- not claimed in this run
    assert.are.equal(10, lag(waits))
    waits.stored = -1
    assert.are.equal(0, lag(waits))
  end)
end)
