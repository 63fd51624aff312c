-- UTF-8 is checked in one place, and messages are always of it.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/utf8.h', 'base/err.h', 'base/log.h', 'base/buf.h', 'admin/json.h')

local function clean(text)
  local block = ffi.new('char[?]', #text + 1, text)
  C.utf8_clean(block)
  return ffi.string(block)
end

describe('UTF-8', function()
  local good = { '', 'abc', 'Zoë', '\239\191\191', '\240\144\128\128', '\244\143\191\191',
    ('x'):rep(100) .. 'ë' .. ('y'):rep(9), 'a\0b', '\237\159\191' }
  for _, text in ipairs(good) do
    it(('of %d bytes is right as a whole'):format(#text), function()
      assert.are.equal(#text, tonumber(C.utf8_valid(text, #text)))
    end)
  end

  local bad = {
    { 'a continuation alone', 'ab\128', 2 }, { 'a character that is cut', 'Zo\195', 2 },
    { 'an overlong slash', '\192\175', 0 }, { 'a long overlong one', 'x\224\128\175', 1 },
    { 'half a surrogate pair', '\237\160\128', 0 }, { 'what is beyond', '\244\144\128\128', 0 },
    { 'a byte that never is', 'abcdefgh\255', 8 },
  }
  for _, case in ipairs(bad) do
    it('ends before ' .. case[1], function()
      assert.are.equal(case[3], tonumber(C.utf8_valid(case[2], #case[2])))
    end)
  end

  it('is left alone by cleaning, and what is not becomes question marks', function()
    assert.are.equal('Zoë 10 €', clean('Zoë 10 €'))
    assert.are.equal('a?b??c?', clean('a\255b\237\160c\195'))
  end)

  it('is cleaned of what would move a cursor or change colours', function()
    assert.are.equal('?[2J?]0;x?', clean('\27[2J\27]0;x\7'))
    assert.are.equal('a??31mb?', clean('a\194\15531mb\127'))
    assert.are.equal('two\n\tlines ?', clean('two\n\tlines \r'))
    assert.are.equal('\194\160é', clean('\194\160é')) -- no control characters
  end)

  -- Orders to a terminal: controls, what turns a line around or ends it, what
  -- cannot be seen.
  local orders = { '\27', '\127', '\194\155', '\216\156', '\226\128\139', '\226\128\142',
    '\226\128\168', '\226\128\174', '\226\129\166', '\239\187\191', '\239\191\185',
    '\243\160\128\129' }

  it('is cleaned of what would turn a line around or cannot be seen', function()
    for _, order in ipairs(orders) do
      assert.are.equal('a' .. ('?'):rep(#order) .. 'b', clean('a' .. order .. 'b'))
    end
    local joined = '\217\134\226\128\140\217\135 \240\159\145\169\226\128\141\240\159\146\187'
    assert.are.equal(joined, clean(joined)) -- the joiners are letters' own
  end)

  it('is quoted in lines of the log without such orders, and is whole where it is cut',
    function()
      for _, order in ipairs(orders) do
        local escaped = order:gsub('.', function(c) return ('\\x%02x'):format(c:byte()) end)
        assert.are.equal('"a' .. escaped .. 'b"', ffi.string(C.log_quote('a' .. order .. 'b')))
      end
      assert.are.equal([["a\n\t\"\\\xff"]], ffi.string(C.log_quote('a\n\t"\\\255')))
      for pad = 0, 3 do
        local cut = ffi.string(C.log_quote(('x'):rep(pad) .. ('€'):rep(2000)))
        assert.are.equal('..."', cut:sub(-4))
        assert.are.equal(#cut, tonumber(C.utf8_valid(cut, #cut)))
      end
    end)

  it('stands in JSON without such orders, and loses nothing', function()
    local out = ffi.new('struct buf')
    C.json_text(out, '\27\194\155\226\128\174"\\\243\160\128\129\255é')
    assert.are.equal([["\u001b\u009b\u202e\"\\\udb40\udc01\ufffdé"]],
      ffi.string(out.data, out.len))
    C.buf_close(out)
  end)

  it('is what messages are, also where they are cut', function()
    local e = ffi.new('struct err')
    for pad = 0, 3 do
      C.err_set(e, C.ERR_DATA, '%s%s', ('x'):rep(pad), ('€'):rep(400))
      local text = ffi.string(e.text)
      assert.are.equal(#text, tonumber(C.utf8_valid(text, #text)))
      assert.is_true(#text >= 690)
      C.err_wrap(e, '%s', 'lane \255')
      text = ffi.string(e.text)
      assert.are.equal('lane ?: ', text:sub(1, 8))
      assert.are.equal(#text, tonumber(C.utf8_valid(text, #text)))
    end
  end)
end)
