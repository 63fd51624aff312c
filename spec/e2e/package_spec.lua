-- What is installed: the Debian package, unpacked, and the manifest for Kubernetes.
-- `make test-package` starts both on a bare Debian.
local tidemill = require 'tidemill'

local ROOT = os.getenv('TIDEMILL_ROOT')

local function read(path)
  local f = assert(io.open(ROOT .. '/' .. path))
  local text = f:read('*a')
  f:close()
  return text
end

-- The manifest, and the files of its pipeline as its volume shows them.
local function manifest()
  local yaml = read('runtime/package/kubernetes.yaml')
  local texts, files, key = {}, {}, nil
  for line in yaml:match('kind: ConfigMap.-\ndata:\n(.-)%-%-%-'):gmatch('([^\n]*)\n') do
    key = line:match('^  ([%w.]+): |$') or key
    texts[key] = (texts[key] and texts[key] .. line:sub(5) or '') .. '\n'
  end
  for name, path in yaml:gmatch('{ key: ([%w.]+), path: ([%w./]+) }') do
    files[path] = assert(texts[name], name)
  end
  return yaml, files
end

describe('the Debian package', function()
  local folder, text, status

  setup(function()
    folder = tidemill.bundle { x = '' }
    text, status = tidemill.shell(('cd %s && runtime/package/deb.sh %s 0.0.1 %s/out')
      :format(ROOT, os.getenv('TIDEMILL'), folder))
    assert.equal(0, status, text)
    local deb = text:match('%S+%.deb')
    assert.equal(0, select(2, tidemill.shell(('dpkg-deb -x %s %s/root && dpkg-deb -e %s '
      .. '%s/meta'):format(deb, folder, deb, folder))))
  end)

  it('holds a binary that finds its scripts, rules and examples', function()
    local out, code = tidemill.shell(('cd / && %s/root/usr/bin/tidemill check '
      .. '%s/root/usr/share/doc/tidemill/examples/bank --offline'):format(folder, folder))
    assert.equal(0, code, out)
  end)

  it('names the libraries that its binary is linked with', function()
    local control = tidemill.shell(('cat %s/meta/control'):format(folder))
    for _, library in ipairs { 'librdkafka1', 'libpq5', 'libluajit', 'libsimdjson',
      'libmicrohttpd', 'libev4' } do
      assert.is_truthy(control:find(library, 1, true), library)
    end
    assert.matches('\nVersion: 0%.0%.1\n', control)
  end)

  it('has a unit that starts what is installed, and lets LuaJIT compile', function()
    local unit = tidemill.shell(('cat %s/root/usr/lib/systemd/system/tidemill@.service')
      :format(folder))
    assert.matches('\nExecStart=/usr/bin/tidemill run /etc/tidemill/%%i ', unit)
    assert.matches('\nType=notify\n', unit)
    assert.is_nil(unit:find('\nMemoryDenyWriteExecute=yes', 1, true))
  end)
end)

describe('the manifest for Kubernetes', function()
  it('has a pipeline that loads as the volume of its ConfigMap shows it', function()
    local yaml, files = manifest()
    local linked = {}
    for path, text in pairs(files) do linked['..2026/' .. path] = text end
    assert.is_truthy(files['pipeline.lua'])
    -- A kubelet writes a folder, a link ..data to it, and links to what is there.
    local folder = tidemill.bundle(linked)
    assert.equal(0, select(2, tidemill.shell(('cd %s && ln -s ..2026 ..data && '
      .. 'for f in $(ls ..data); do ln -s ..data/$f $f; done'):format(folder))))
    local args = yaml:match('args: %[(.-)%]')
    assert.matches('^run, /etc/tidemill/bank, %-%-instance, ', args)
    local checked = tidemill.call({ 'check', folder, '--offline' },
      { env = { DATABASE_URL = 'postgresql://x/y', KAFKA_BROKERS = 'x:1' } })
    assert.equal(0, checked.status, checked.text)
  end)
end)
