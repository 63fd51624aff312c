-- Tables of verbs on a terminal of some width, and into a pipe.
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/utf8.h', 'cli/table.h')
ffi.cdef [[
int forkpty(int *, char *, void *, const void *);
int fork(void);
int waitpid(int, int *, int);
void _exit(int);
int setenv(const char *, const char *, int);
int unsetenv(const char *);
int open(const char *, int, int);
int dup2(int, int);
int fflush(void *);
ssize_t read(int, void *, size_t);
struct spec_winsize { unsigned short rows, columns, x, y; };
]]
local WRITE = 1 + 64 + 512

local COLUMNS = ffi.new('struct table_column[2]', { { 'lane', false }, { 'why', false } })

local function print_table(rows, note)
  local t = ffi.new('struct table')
  C.table_init(t, COLUMNS, 2)
  for _, row in ipairs(rows) do
    C.table_text(t, row[1])
    C.table_text(t, row[2])
  end
  if note then C.table_note(t, note) end
  C.table_print(t)
  C.fflush(nil)
end

-- The lines that [write] prints on a terminal of [width]; nil: into a file.
local function printed(width, columns, write)
  local master, status = ffi.new('int[1]'), ffi.new('int[1]')
  local size = ffi.new('struct spec_winsize', { 24, width or 80 })
  local path = os.tmpname()
  local pid = width and C.forkpty(master, nil, nil, size) or C.fork()
  if pid == 0 then
    if not width then C.dup2(C.open(path, WRITE, 384), 1) end
    if columns then C.setenv('COLUMNS', columns, 1) else C.unsetenv('COLUMNS') end
    write()
    C._exit(0)
  end
  local text, buffer = '', ffi.new('char[4096]')
  while width do
    local n = tonumber(C.read(master[0], buffer, 4096))
    if n <= 0 then break end
    text = text .. ffi.string(buffer, n)
  end
  C.waitpid(pid, status, 0)
  if not width then
    local file = assert(io.open(path))
    text = file:read('*a')
    file:close()
  end
  os.remove(path)
  local lines = {}
  for line in text:gsub('\r', ''):gmatch '([^\n]*)\n' do lines[#lines + 1] = line end
  return lines
end

describe('a table', function()
  local long = ('0123456789'):rep(30)
  local function write() print_table({ { 'orders/1', long } }, ('a word '):rep(60)) end

  it('has the width of its terminal', function()
    for _, width in ipairs { 40, 60, 100, 180 } do
      local lines = printed(width, nil, write)
      assert.are.equal(width, #lines[2])
      assert.are.equal('...', lines[2]:sub(-3))
      for _, line in ipairs(lines) do assert.is_true(#line <= width, line) end
    end
    assert.are.equal(2 + 8 + 300, #printed(400, nil, write)[2])
  end)

  it('has what COLUMNS says, if that is a width', function()
    assert.are.equal(70, #printed(120, '70', write)[2])
    for _, wrong in ipairs { '', 'x', '0', '-5', '99999999999' } do
      assert.are.equal(120, #printed(120, wrong, write)[2], wrong)
    end
  end)

  it('is whole where nobody looks at it', function()
    for _, columns in ipairs { false, '50' } do
      local lines = printed(nil, columns or nil, write)
      assert.are.equal('orders/1  ' .. long, lines[2])
      assert.are.equal(3, #lines)
    end
  end)

  it('counts the columns of wide characters, and those that stand on others', function()
    local lines = printed(40, nil, function()
      print_table { { '日本', '語' }, { 'ab', 'é' }, { 'e\204\129', ('漢'):rep(40) } }
    end)
    assert.are.same({ 'lane  why', '日本  語', 'ab    é', 'e\204\129     ' .. ('漢'):rep(15) .. '...' },
      lines)
  end)
end)

describe('a cell that is cut', function()
  it('has whole characters, as wide as may be', function()
    local function cut(text)
      return printed(nil, nil, function()
        local t = ffi.new('struct table')
        C.table_init(t, COLUMNS, 1)
        C.table_text_cut(t, text, 8)
        C.table_print(t)
        C.fflush(nil)
      end)[2]
    end
    for text, expected in pairs { ['12345678'] = '12345678', ['123456789'] = '12345...',
      [('é'):rep(8)] = ('é'):rep(8), [('é'):rep(9)] = ('é'):rep(5) .. '...',
      [('漢'):rep(5)] = '漢漢...', [''] = '' } do
      assert.are.equal(expected, cut(text))
    end
  end)
end)

describe('the columns of a character', function()
  it('are none, one or two', function()
    for code, columns in pairs { [0x41] = 1, [0xe9] = 1, [0x301] = 0, [0x4e2d] = 2, [0xac00] = 2,
      [0xff21] = 2, [0x1f600] = 2, [0x20000] = 2, [0x200d] = 0, [0xfe0f] = 0, [0x2013] = 1,
      [0x10ffff] = 1, [0x303f] = 1 } do
      assert.are.equal(columns, C.utf8_columns(code), ('%x'):format(code))
    end
  end)
end)
