-- What speaks against reading on from a position, and the anchors of records.
local ffi = require 'ffi'
require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

core.headers('postgres/store/position.h', 'flow/lane/verify.h')

-- A position that nothing speaks against; [fields] over it.
local function position(fields)
  local at = ffi.new('struct position', {
    topic = 't', partition = 3, found = true, next_offset = 50, epoch = 7,
  })
  for name, value in pairs(fields or {}) do
    if name ~= 'halted' then at[name] = value end
  end
  at.halted = fields and fields.halted and core.bytes(fields.halted .. '\0') or nil
  return at
end

local function facts(fields)
  local f = ffi.new('struct verify_facts', {
    low = 10, high = 90, has_group_offset = true, group_offset = 50, epoch = 6, position = 50,
  })
  for name, value in pairs(fields or {}) do f[name] = value end
  return f
end

local function why(at, f)
  local e = ffi.new('struct err')
  if C.verify_position(at, f, e) then return nil end
  assert.are.equal(tonumber(C.ERR_CONFIG), tonumber(e.class))
  return ffi.string(e.text)
end

-- Why a lane without a row must halt, and where its row is to stand.
local function gone(begin, f, topic)
  local e, at = ffi.new('struct err'), ffi.new('int64_t[1]')
  if C.verify_missing(topic or 't', 3, begin, facts(f), at, e) then return nil end
  return ffi.string(e.text), tonumber(at[0])
end

describe('a lane without a row', function()
  it('begins when nobody knows a position of it', function()
    for _, f in ipairs {
      { epoch = 0, position = -1, group_offset = -1 }, { epoch = 0, position = -1, group_offset = 10 },
      { epoch = 0, position = -1, group_offset = 80, has_group_offset = false },
    } do
      assert.is_nil(gone(10, f))
    end
    assert.is_nil(gone(80, { epoch = 0, position = -1, group_offset = 80 }))
  end)

  it('halts at the last position that was seen or told', function()
    local text, at = gone(10, { epoch = 6, position = 50, group_offset = 40 })
    assert.matches('^t/3: the database went back: it has no position of this lane; '
      .. 'this worker has seen 50, epoch 6', text)
    assert.matches('`tidemill lane resume` goes on at 50.*`tidemill lane seek` to 10$', text)
    assert.are.equal(50, at)
    text, at = gone(10, { epoch = 0, position = -1, group_offset = 40 })
    assert.matches('older than the group offset.*group offset 40 ', text)
    assert.are.equal(40, at)
    text, at = gone(90, { epoch = 0, position = -1, group_offset = 40 })
    assert.matches('goes on at 40.*seek` to 90$', text)
    assert.are.equal(40, at)
    text, at = gone(10, { epoch = 3, position = -1, group_offset = -1 })
    assert.matches('went back', text)
    assert.are.equal(10, at)
  end)
end)

describe('a claimed position', function()
  it('may be read on from', function()
    local cases = {
      { {}, {} },
      { {}, { epoch = 0, position = -1 }, 'the first claim of this worker' },
      { { next_offset = 10 }, { group_offset = -1, position = -1 }, 'the first record there is' },
      { { next_offset = 90 }, { group_offset = 90, position = 90 }, 'the end' },
      { {}, { group_offset = 20 }, 'Kafka is told late' },
      { {}, { has_group_offset = false, group_offset = 80 }, 'the offset of the group is not known' },
      { {}, { position = 40 }, 'another worker went on' },
      { { is_rewound = true }, { group_offset = 80 }, 'a person moved it back' },
      { { is_rewound = true }, { position = 60 } },
      { { is_rewound = true }, { position = 60, was_rewound = true, epoch = 5 },
        'a person moved it back again' },
      { { is_rewound = true }, { was_rewound = true }, 'nothing happened since' },
    }
    for i, case in ipairs(cases) do
      assert.is_nil(why(position(case[1]), facts(case[2])), case[3] or 'case ' .. i)
    end
  end)

  it('halts when the broker does not reach down or up to it', function()
    local expired = why(position(), facts { low = 60 })
    assert.matches('t/3: records 50 to 59 are gone', expired)
    assert.matches('`tidemill lane seek` to 60', expired)
    local truncated = why(position(), facts { high = 49 })
    assert.matches('the position 50 is past the end of the partition %(49%)', truncated)
    assert.matches('`tidemill lane seek`', truncated)
    -- A person cannot wish it away either.
    assert.truthy(why(position { is_rewound = true }, facts { high = 49 }))
  end)

  it('halts when the database is older than what was seen of it', function()
    local cases = {
      { {}, { group_offset = 51 }, 'position 50, group offset 51' },
      { {}, { position = 51 }, 'has seen 51, epoch 6' },
      { {}, { epoch = 7 }, 'epoch 7; this worker has seen 50, epoch 7' },
      { { is_rewound = true }, { epoch = 7 }, 'has seen 50, epoch 7' },
      { { is_rewound = true }, { was_rewound = true, position = 51 }, 'has seen 51' },
      { {}, { epoch = 9, has_group_offset = false, position = -1 }, 'epoch 9' },
    }
    for _, case in ipairs(cases) do
      local text = why(position(case[1]), facts(case[2]))
      assert.truthy(text and text:find(case[3], 1, true), tostring(text))
      assert.matches('`tidemill lane resume` goes on at 50', text)
      assert.matches('`tidemill lane seek` to 5[01]$', text)
    end
  end)

  it('that is none halts', function()
    assert.matches('t/3: what tidemill.lane holds of it is no position.*`tidemill lane seek`',
      why(position { next_offset = -1 }, facts { position = -1 }))
  end)

  it('halts with the words of a halt that is written down', function()
    assert.are.equal('too many', why(position { halted = 'too many' }, facts { high = 1 }))
    assert.matches('and not why', why(position { halted = '' }, facts { high = 1 }))
  end)

  it('has words that fit into the page', function()
    local topic, page = ('x'):rep(50), ffi.sizeof(ffi.new('struct page_lane').message)
    local big = 1000000000000
    local at = position { next_offset = big, epoch = big }
    at.topic = core.bytes(topic .. '\0')
    for _, f in ipairs {
      { low = big, high = big, group_offset = big + 1, epoch = 1 },
      { low = big, high = big, position = big + 1, epoch = big },
      { high = big - 1 }, { low = big + 1, high = big + 1 },
    } do
      local text = assert(why(at, facts(f)))
      assert.is_true(#text < page - 10, #text .. ' bytes: ' .. text)
    end
    for _, f in ipairs { { epoch = big, position = big }, { epoch = 0, group_offset = big } } do
      local text = gone(big - 1, f, topic)
      assert.is_true(#text < page - 10, #text .. ' bytes: ' .. text)
    end
  end)

  it('ends once the group has no offset above it', function()
    local function ends_rewound(at, f) return C.verify_ends_rewound(position(at), facts(f)) end
    assert.is_true(ends_rewound({ is_rewound = true }, {}))
    assert.is_true(ends_rewound({ is_rewound = true }, { group_offset = -1 }))
    assert.is_false(ends_rewound({ is_rewound = true }, { group_offset = 51 }))
    assert.is_false(ends_rewound({ is_rewound = true }, { has_group_offset = false, group_offset = -1 }))
    assert.is_false(ends_rewound({}, {}))
  end)

  it('has an anchor when the record below it may be there and was applied', function()
    local function has(at, f) return C.verify_has_anchor(position(at), facts(f)) end
    assert.is_true(has({ has_anchor = true }, {}))
    assert.is_false(has({}, {}))
    assert.is_false(has({ has_anchor = true, is_rewound = true }, {}))
    assert.is_false(has({ has_anchor = true }, { low = 50 }))
  end)
end)

describe('an anchor', function()
  local function anchor(key, value, ms)
    local r = ffi.new('struct record')
    r.time_ms = ms or 5
    if key then r.key, r.key_len = core.bytes(key) end
    if value then r.value, r.value_len = core.bytes(value) end
    local a = C.anchor_of(r)
    return ('%d %s'):format(tonumber(a.ms), tostring(a.hash))
  end

  it('is the same for the same record, and another one for any other', function()
    local records = {
      { 'k', 'v' }, { 'k', 'w' }, { 'l', 'v' }, { 'v', 'k' }, { 'kv', '' }, { '', 'kv' },
      { 'k', nil }, { nil, 'k' }, { 'k', '' }, { '', 'k' }, { 'k', 'k' }, { 'v', 'v' },
      { nil, nil }, { '', '' }, { 'k', 'v', 6 },
    }
    local seen = {}
    for i = 1, 15 do
      local r = records[i]
      local a = anchor(r[1], r[2], r[3])
      assert.are.equal(a, anchor(r[1], r[2], r[3]))
      assert.is_nil(seen[a], ('records %s and %d'):format(seen[a], i))
      seen[a] = i
    end
  end)

  it('stays what the databases out there hold', function()
    assert.are.equal('1700000000000 6819216403541142830LL',
      anchor('key', 'value of some length', 1700000000000))
  end)

  it('that another record stands at is told in words', function()
    local lane, p, e = ffi.new('struct lane'), ffi.new('struct partition'), ffi.new('struct err')
    lane.topic, lane.position, lane.kafka = core.bytes('t\0'), 8, p
    p.anchor.ms, p.anchor.hash, p.found.ms = 1700000000123, 1, -1
    C.verify_replaced(lane, e)
    assert.matches('t/0: offset 7 holds another record', ffi.string(e.text))
    assert.matches('its time is none, was 2023%-11%-14T22:13:20.123Z', ffi.string(e.text))
    p.found.ms = p.anchor.ms
    C.verify_replaced(lane, e)
    assert.matches('its key or value differs', ffi.string(e.text))
  end)
end)
