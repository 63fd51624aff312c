-- luajit valgrind.lua FILE.xml: prints the errors of a run of valgrind that
-- have our code in their stack; a file that was not written to its end is an
-- error too.
local file = assert(io.open(arg[1]))
local xml = file:read('*a')
file:close()

local function field(text, name)
  return text:match(('<%s>(.-)</%s>'):format(name, name))
end

local function frames(err)
  local out = {}
  for frame in err:gmatch('<frame>(.-)</frame>') do
    out[#out + 1] = ('  %s %s:%s'):format(field(frame, 'fn') or '?',
      field(frame, 'file') or field(frame, 'obj') or '?', field(frame, 'line') or '?')
  end
  return table.concat(out, '\n', 1, math.min(#out, 16))
end

if not xml:find('</valgrindoutput>', 1, true) then print('valgrind was cut off') end
for err in xml:gmatch('<error>(.-)</error>') do
  if err:find('libtidemill-spec.so', 1, true) then
    print((field(err, 'kind') or '?') .. ': '
      .. (field(err, 'text') or field(err, 'what') or '?'))
    print(frames(err))
  end
end
