-- `tidemill explain`, as a user types it: it needs no server.
local function explain(words)
  local binary = os.getenv('TIDEMILL') or './tidemill'
  local pipe = assert(io.popen(("'%s' explain %s 2>&1; echo status=$?"):format(binary, words)))
  local text, status = pipe:read('*a'):match('^(.*)status=(%d+)\n$')
  pipe:close()
  return text, tonumber(status)
end

local function says(words, ...)
  local text, status = explain(words)
  assert.are.equal(0, status, text)
  for _, part in ipairs { ... } do
    assert.is_truthy(text:gsub('%s+', ' '):find(part, 1, true),
      ('"%s" is missing in:\n%s'):format(part, text))
  end
end

local function refuses(words, part)
  local text, status = explain(words)
  assert.are.equal(64, status, text)
  assert.is_truthy(text:find(part, 1, true), text)
end

local classes = { 'conflict', 'resource', 'connection', 'server', 'fenced', 'data', 'script',
  'schema', 'config', 'fatal' }

describe('tidemill explain', function()
  it('lists every class when nothing is asked', function()
    local text, status = explain ''
    assert.are.equal(0, status)
    for _, class in ipairs(classes) do assert.matches('\n?  ' .. class .. '  ', text) end
  end)

  for _, class in ipairs(classes) do
    it('says what is done about ' .. class, function()
      says(class, 'class ' .. class, ' means ', ' Tidemill ', ' you ')
    end)
  end

  it('takes a SQLSTATE, in any case, and names it', function()
    says('22001', '22001 string_data_right_truncation', 'class data', 'dead letter')
    says('40p01', '40P01 deadlock_detected', 'class conflict', 'three times at once')
    says('25006', 'read_only_sql_transaction', 'class server', 'The connection is dropped')
    says('42P01', 'undefined_table', 'class schema', 'tidemill check PATH')
    says('28P01', 'invalid_password', 'class config')
    says('57P01', 'admin_shutdown', 'class connection')
  end)

  it('says what is special about a code', function()
    says('TM001', 'class fenced', 'epoch or position')
    says('TM002', 'class conflict', 'a row changed since it was loaded')
    says('TM003', 'class conflict', 'a table changed since it was compared')
    says('TM006', 'class schema', 'a newer tidemill made schema')
    says('57014', 'class resource', 'a single record that times out twice')
    says('23503', 'class data', 'may still be on its way')
    says('08007', 'class connection', 'the positions are asked')
  end)

  it('takes a condition name, and shows every code that has it', function()
    says('deadlock_detected', '40P01')
    says('Unique_Violation', '23505')
    says('null_value_not_allowed', '22004', '39004')
  end)

  it('takes an error of librdkafka by name, full name and number', function()
    for _, word in ipairs { '_ALL_BROKERS_DOWN', 'RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN',
      '_all_brokers_down', '-187' } do
      says(word, '_ALL_BROKERS_DOWN -187', 'class connection', 'Does Kafka run')
    end
    says('OFFSET_OUT_OF_RANGE', 'class config', 'Nothing is skipped by itself')
    says('1', 'OFFSET_OUT_OF_RANGE')
  end)

  it('explains several at once', function()
    says('23505 -195 fatal', 'unique_violation', '_TRANSPORT', 'class fatal')
  end)

  it('explains every code that PostgreSQL has', function()
    local text, status = explain [[$(sed -n 's/^\([0-9A-Z]\{5\}\) .*/\1/p' \
      "$(ls -v /usr/share/postgresql/*/errcodes.txt | tail -n 1)")]]
    assert.are.equal(0, status)
    local _, n = text:gsub('class  ', '')
    assert.is_true(n > 250, ('%d codes were explained'):format(n))
  end)

  it('keeps within 80 columns', function()
    for line in explain('data schema 57014 -187'):gmatch('[^\n]+') do
      assert.is_true(#line <= 80, line)
    end
  end)

  it('answers an unknown code with the nearest', function()
    refuses('dedlock_detected', "did you mean 'deadlock_detected'?")
    refuses('conflct', "did you mean 'conflict'?")
    refuses('_ALL_BROKER_DOWN', "did you mean '_ALL_BROKERS_DOWN'?")
    refuses('completely_different_words', 'neither a SQLSTATE')
    refuses('--all', 'unknown option --all')
  end)

  it('explains the others when one is unknown', function()
    local text, status = explain '23505 dedlock_detected 40001'
    assert.are.equal(64, status)
    assert.matches('unique_violation', text)
    assert.matches('serialization_failure', text)
  end)

  it('says what becomes of a code that somebody made up', function()
    refuses('AB123', 'when a RAISE of yours made it up, its class is data, else schema')
  end)
end)
