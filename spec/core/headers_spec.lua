-- Headers of dead letters: to JSON and back.
local ffi = require 'ffi'
require 'spec.core.flow'
local core = require 'spec.core.core'
local C = core.lib

core.headers('flow/rows/headers.h')

-- A callback from C must not arrive in compiled code.
jit.off()

local list
local at_fn = ffi.cast('record_header_at_fn', function(_, at, out)
  local h = list[at + 1]
  if not h then return false end
  out.name = core.bytes(h[1] .. '\0')
  out.value, out.len = nil, 0
  if h[2] then out.value, out.len = core.bytes(h[2]) end
  return true
end)
local no_header = ffi.cast('record_header_fn', function() return false end)

local topic = ffi.new('struct plan_topic')
topic.format = C.FORMAT_JSON
local source = ffi.new('struct plan_source')
source.settings, source.n_topics = topic, 1
local decoder = ffi.gc(C.decoder_new(source, no_header), C.decoder_free)

local function print_json(headers)
  list = headers
  local arena = core.arena()
  local json = C.headers_print(nil, at_fn, arena)
  return json ~= nil and ffi.string(json) or nil
end

local function parse(json)
  local arena, out, headers = core.arena(), {}, ffi.new('struct record_header')
  local h = C.headers_parse(json, #json, decoder, arena)
  local at = 0
  while C.headers_at(h, at, headers) do
    at = at + 1
    out[at] = { ffi.string(headers.name),
      headers.value ~= nil and ffi.string(headers.value, headers.len) or nil }
  end
  return out, h, arena
end

describe('headers of a dead letter', function()
  it('are text where they are, and base64 where they are not', function()
    assert.are.equal('[{"name":"type","value":"A\\"\\\\\\u000a"},{"name":"id","base64":"AP8="},'
      .. '{"name":"none","value":null}]',
      print_json { { 'type', 'A"\\\n' }, { 'id', '\0\255' }, { 'none' } })
    assert.is_nil(print_json {})
  end)

  it('come back as they were, in order, repeated ones too', function()
    math.randomseed(4)
    for _ = 1, 300 do
      local headers = {}
      for i = 1, math.random(0, 6) do
        local bytes = {}
        for k = 1, math.random(0, 9) do bytes[k] = string.char(math.random(0, 255)) end
        headers[i] = { 'h' .. math.random(3), math.random(5) > 1 and table.concat(bytes) or nil }
      end
      local json = print_json(headers)
      assert.are.same(headers, json and parse(json) or {})
    end
  end)

  it('are found by name, the last one of them', function()
    local _, h, arena = parse '[{"name":"a","value":"1"},{"name":"a","value":"2"}]'
    local out = ffi.new('struct record_header')
    assert.is_true(C.headers_find(h, 'a', out))
    assert.are.equal('2', ffi.string(out.value, out.len))
    assert.is_false(C.headers_find(h, 'b', out))
    assert.is_truthy(arena)
  end)

  it('are none where the text is no such list', function()
    for _, json in ipairs { '', 'x', '{}', '[1,"a",null]', '[{"name":5}]', '[[]]' } do
      for _, h in ipairs(parse(json)) do assert.are.same({ '' }, h) end
    end
  end)
end)
