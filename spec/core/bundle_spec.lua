-- Reading a bundle: what is in it, what is refused, and that nobody changes it.
local bundles = require 'spec.unit.bundles'
local ffi = require 'ffi'
local core = require 'spec.core.core'
local C = core.lib

core.header 'lua/bundle.h'
ffi.cdef [[
  int getrlimit(int, void *);
  int setrlimit(int, const void *);
  void *signal(int, void *);
  int memfd_create(const char *, unsigned);
  int fcntl(int, int, ...);
  int ftruncate(int, long);
  int close(int);
  ssize_t write(int, const void *, size_t);
  ssize_t pread(int, void *, size_t, long);
  long lseek(int, long, int);
]]
local F_ADD_SEALS, SEALS, SEEK_END = 1033, 15, 2

local function sh(folder, command)
  local done = os.execute('cd ' .. folder .. ' && ' .. command)
  assert(done == 0 or done == true, command) -- true: Lua 5.2
end

-- Hash and texts by name of what is read, or nil and why not.
local function read(path)
  local b, e = ffi.new('struct bundle'), ffi.new('struct err')
  if not C.bundle_read(b, path, nil, e) then return nil, ffi.string(e.text), tonumber(e.class) end
  local files, names = {}, {}
  for i = 0, b.pipeline.n - 1 do
    local f = b.pipeline.files[i]
    names[i + 1] = ffi.string(f.name)
    files[names[i + 1]] = ffi.string(f.text, f.len)
    assert.are.equal(0, f.text[f.len])
  end
  local hash = ffi.string(b.hash)
  C.bundle_close(b)
  return { hash = hash, files = files, names = table.concat(names, ' ') }
end

local FILES = { ['pipeline.lua'] = 'return 1', ['b/x.lua'] = 'x', ['a.lua'] = '', ['b.lua'] = 'b\0\255' }

describe('a bundle', function()
  it('has the texts of all Lua files by name, in one order, but for specs and hidden ones', function()
    bundles.with(FILES, function(folder)
      sh(folder, 'mkdir spec .git c && touch spec/s.lua a_spec.lua .git/g.lua .#a.lua notes.txt && mkdir d.lua')
      local b = read(folder)
      assert.are.same(FILES, b.files)
      assert.are.equal('a.lua b.lua b/x.lua pipeline.lua', b.names)
    end)
  end)

  it('has a hash of entry, names and texts, wherever it lies', function()
    local function hash_of(change, entry)
      local files = {}
      for name, text in pairs(FILES) do files[name] = text end
      for name, text in pairs(change) do files[name] = text or nil end
      return bundles.with(files, function(folder) return read(folder .. (entry or '')).hash end)
    end
    local seen = { [hash_of {}] = true }
    assert.is_true(seen[hash_of {}])
    for _, change in ipairs { { ['a.lua'] = ' ' }, { ['a.lua'] = false }, { ['c.lua'] = '' }, { ['a.lua'] = false, ['aa.lua'] = '' },
      { ['a.lua'] = 'x', ['b/x.lua'] = '' }, { ['b.lua'] = 'b' } } do
      local hash = hash_of(change)
      assert.is_nil(seen[hash])
      seen[hash] = true
    end
    assert.is_nil(seen[hash_of({}, '/a.lua')])
    assert.is_true(seen[hash_of({}, '/pipeline.lua')])
  end)

  it('counts the scripts and rules of Tidemill in', function()
    bundles.with(FILES, function(folder)
      local b = core.bundle(folder)
      assert.are_not.equal(read(folder).hash, ffi.string(b.hash))
      assert.is_true(C.bundle_find(b.scripts, 'tidemill/boot.lua') ~= nil)
      assert.is_true(C.bundle_find(b.rules, 'sqlstate.lua') ~= nil)
      assert.is_true(C.bundle_find(b.rules, 'sqlstate_spec.lua') == nil)
    end)
  end)

  it('reads a folder of links into itself, as Kubernetes lays it out', function()
    bundles.with({}, function(folder)
      sh(folder, "mkdir -p ..now/p && echo return 1 | tee ..now/pipeline.lua > ..now/p/a.lua")
      sh(folder, 'ln -s ..now ..data && ln -s ..data/pipeline.lua . && ln -s gone x.lua')
      sh(folder, 'ln -s ..data/p . && ln -s .. ..now/p/up && ln -s . ..now/p/same && ln -s p twice && ln -s . here && ln -s /etc out')
      assert.are.same({ ['pipeline.lua'] = 'return 1\n', ['p/a.lua'] = 'return 1\n', ['twice/a.lua'] = 'return 1\n' }, read(folder).files)
    end)
  end)

  it('refuses what would be left out without a word, or is no pipeline', function()
    local function refusal(command)
      return bundles.with(FILES, function(folder)
        sh(folder, command)
        local b, why = read(folder)
        assert.is_nil(b)
        return (why:gsub(folder:gsub('%W', '%%%0'), '.'))
      end)
    end
    assert.are.equal('./a.lua: is a link to a file outside the folder: only files of the bundle are loaded', refusal 'ln -sf /etc/passwd a.lua')
    assert.are.equal('./l.lua: cannot be read: Too many levels of symbolic links', refusal 'ln -s l.lua l.lua')
    assert.are.equal('./a.lua: is larger than 1 MiB', refusal 'head -c 1048577 /dev/zero > a.lua')
    assert.matches('it has more than 1000 Lua files: give', refusal 'for i in $(seq 1000); do : > f$i.lua; done')
    assert.matches('it has more than 16 MiB of Lua files: give', refusal 'for i in $(seq 17); do head -c 1000000 /dev/zero > f$i.lua; done')
    assert.matches('it has folders nested deeper than 8: give', refusal 'mkdir -p 1/2/3/4/5/6/7/8/9')
    assert.are.equal('.: has no pipeline.lua: a pipeline is a .lua file, or a folder with a pipeline.lua', refusal 'rm pipeline.lua')
    assert.matches('/none: no such pipeline: No such file', (select(2, read '/tmp/none')))
  end)
end)

describe('the memfd of a bundle', function()
  local e = ffi.new('struct err')

  local function sealed(text, seals)
    local fd = ffi.C.memfd_create('spec', 2)
    assert(ffi.C.write(fd, text, #text) == #text)
    ffi.C.fcntl(fd, F_ADD_SEALS, ffi.cast('int', seals or SEALS))
    return fd
  end

  local function is_refused(fd)
    local b = ffi.new('struct bundle')
    local ok = C.bundle_open(b, fd, e)
    if ok then C.bundle_close(b) end
    ffi.C.close(fd)
    return not ok and ffi.string(e.text):find('this is no bundle of Tidemill', 1, true) ~= nil
  end

  local function image_of(folder)
    local fd = C.bundle_seal(folder, nil, e)
    assert(fd >= 0, ffi.string(e.text))
    local n = tonumber(ffi.C.lseek(fd, 0, SEEK_END))
    local bytes = ffi.new('char[?]', n)
    assert(ffi.C.pread(fd, bytes, n, 0) == n)
    return ffi.string(bytes, n), fd
  end

  it('cannot be changed by anybody', function()
    bundles.with(FILES, function(folder)
      local image, fd = image_of(folder)
      assert.are.equal(-1, tonumber(ffi.C.write(fd, 'x', 1)))
      assert.are.equal(-1, ffi.C.ftruncate(fd, 10))
      assert.are.equal(-1, ffi.C.ftruncate(fd, #image + 10))
      assert.are.equal(-1, ffi.C.fcntl(fd, F_ADD_SEALS, ffi.cast('int', 0)))
      ffi.C.close(fd)
    end)
  end)

  it('needs room below the limit of file sizes, and says so', function()
    local FSIZE, XFSZ, IGNORE = 1, 25, ffi.cast('void *', 1)
    local limit, before = ffi.new('uint64_t[2]'), ffi.new('uint64_t[2]')
    assert(ffi.C.getrlimit(FSIZE, before) == 0)
    limit[0], limit[1] = 100, before[1]
    local handler = ffi.C.signal(XFSZ, IGNORE)
    bundles.with(FILES, function(folder)
      assert(ffi.C.setrlimit(FSIZE, limit) == 0)
      local fd = C.bundle_seal(folder, nil, e)
      ffi.C.setrlimit(FSIZE, before)
      ffi.C.signal(XFSZ, handler)
      assert.are.equal(-1, fd)
    end)
    assert.matches('memfd of %d+ bytes%): File too large: .* raise it %(ulimit %-f, LimitFSIZE%)$', ffi.string(e.text))
  end)

  it('is opened only when it is sealed and whole', function()
    local image, fd = bundles.with(FILES, image_of)
    ffi.C.close(fd)
    assert.is_false(is_refused(sealed(image)))
    assert.is_true(is_refused(sealed(image, 7)))
    assert.is_true(is_refused(-1))
    for len = 0, #image - 1 do assert.is_true(is_refused(sealed(image:sub(1, len))), len) end
    assert.is_true(is_refused(sealed(image .. '\0')))
    assert.is_true(is_refused(sealed((image:gsub('0%.1%.0', '0.1.1', 1)))))
    for at = 1, #image do -- lengths that lie
      local changed = image:sub(1, at - 1) .. '\255' .. image:sub(at + 1)
      local b, other = ffi.new('struct bundle'), sealed(changed)
      if C.bundle_open(b, other, e) then C.bundle_close(b) end
      ffi.C.close(other)
    end
  end)
end)
