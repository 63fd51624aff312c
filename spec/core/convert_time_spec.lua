local conversion = require 'spec.core.conversion'
local core = require 'spec.core.core'
local C = core.lib

local text, number, object = core.text, core.number, core.object
local convert, run, stated = conversion.convert, conversion.run, conversion.stated
local debezium, schema = conversion.debezium, conversion.schema
local said, known = conversion.said, conversion.known
local in_millis = said 'MILLIS'

describe('convert: date', function()
  run(it, {
    { 'date', text '2026-11-23', 'date 2026-11-23' },
    { 'date', text '0001-01-01', 'date 0001-01-01' },
    { 'date', text '2024-02-29', 'date 2024-02-29' },
    { 'date', text '2000-02-29', 'date 2000-02-29' },
    { 'date', text '1900-02-29', 'error: names a day that does not exist' },
    { 'date', text '2026-02-30', 'error: does not exist' },
    { 'date', text '2026-13-01', 'error: does not exist' },
    { 'date', text '2026-00-10', 'error: does not exist' },
    { 'date', text '2026-01-00', 'error: does not exist' },
    { 'date', text '0000-01-01', 'error: years 0001 to 294246' },
    { 'date', text '294247-01-01', 'error: years 0001' },
    { 'date', text '+12026-01-02', 'date 12026-01-02' },
    { 'date', text '294246-12-31', 'date 294246-12-31' },
    { 'date', text '26-01-01', 'error: ISO 8601' },
    { 'date', text '2026-1-1', 'error: ISO 8601' },
    { 'date', text '23.11.2026', 'error: ISO 8601' },
    { 'date', text '2026-11-23T10:00:00Z', 'error: ISO 8601' },
    { 'date', text 'infinity', 'date infinity' },
    { 'date', text '-infinity', 'date -infinity' },
    { 'time', text 'infinity', 'error: is not a time' },
    { 'date', text '-0044-03-15', 'error: is outside the years 0001' },
    { 'date', text '2026-11-23Z', 'date 2026-11-23' },
    { 'date', text '2026-11-23Zx', 'error: ISO 8601' },
    { 'date', number '-2147472692', 'date infinity', debezium },
    { 'date', number '-2147472691', 'date -infinity', debezium },
    { 'date', number '-622191234', 'date infinity', debezium },
    { 'date', number '-625821272', 'date -infinity', debezium },
    { 'date', text '+292278994-08-16Z', 'date infinity', debezium },
    { 'date', text '+292269055-12-02Z', 'date -infinity', debezium },
    { 'date', text '+292269055-12-02Z', 'error: outside the years' },
    { 'date', text '-5877611-06-21Z', 'date infinity', debezium },
    { 'date', text '-5877611-06-22Z', 'date -infinity', debezium },
    { 'date', text '-5877611-06-23Z', 'error: is outside the years', debezium },
    { 'date', text '', 'error: ISO 8601' },
    { 'date', number '20780', 'date 2026-11-23', debezium },
    { 'date', number '-719162', 'date 0001-01-01', debezium },
    { 'date', number '-719163', 'error: years', debezium },
    { 'date', number '20780.5', 'error: whole number of days', debezium },
    { 'date', number '20780', 'date 2026-11-23', schema },
    { 'date', number '106751981', 'date 294246-12-31', schema },
    { 'date', number '1795443612904', 'date 2026-11-23', in_millis },
    { 'date', number '-1', 'date 1969-12-31', in_millis }, { 'date', number '0', 'date 1970-01-01' },
    { 'date', number '86399999.9', 'date 1970-01-01', in_millis },
    { 'date', core.double(86400000), 'date 1970-01-02', in_millis },
    { 'date', core.bool(true), 'error: is not a date' },
    { 'date', object '{}', 'error: is not' },
  })
end)

describe('convert: time', function()
  local micros = stated(nil, 'MICROS')
  run(it, {
    { 'time', text '19:00', 'time 19:00:00' },
    { 'time', text '19:00:01.5', 'time 19:00:01.5' },
    { 'time', text '00:00:00.000001', 'time 00:00:00.000001' },
    { 'time', text '23:59:59.9999995', 'time 24:00:00' },
    { 'time', text '24:00:00', 'time 24:00:00' },
    { 'time', text '24:00:01', 'error: does not exist' },
    { 'time', text '12:60', 'error: does not exist' },
    { 'time', text '25:00', 'error: does not exist' },
    { 'time', text '10:00:00Z', 'time 10:00:00' },
    { 'time', text '10:00:00+02', 'error: has an offset' },
    { 'time', text '1:00', 'error: ISO 8601' },
    { 'time', text '10:00:', 'error: ISO 8601' },
    { 'time', text '10:00:00.', 'error: ISO 8601' },
    { 'time(3)', text '10:00:00.0005', 'time 10:00:00.001' },
    { 'time(0)', text '10:00:00.4999', 'time 10:00:00' },
    { 'time', number '36000000', 'time 10:00:00', in_millis },
    { 'time', number '36000000000', 'time 10:00:00', micros },
    { 'time', number '-1', 'error: outside a day', in_millis },
    { 'time', number '86400000', 'time 24:00:00', in_millis },
    { 'time', number '86400001', 'error: outside a day', in_millis },
    { 'time', number '1', "error: write times = 'adaptive'", debezium },
    { 'time', known('MILLIS', '1000'), 'time 00:00:01', schema },
  })
end)

describe('convert: timestamps', function()
  local millis, micros = stated(nil, 'MILLIS'), stated(nil, 'MICROS')
  local nanos = stated(nil, 'NANOS')
  run(it, {
    { 'timestamptz', text '2026-11-23T14:20:12.904964Z',
      'stamp 2026-11-23T14:20:12.904964Z' },
    { 'timestamptz', text '2026-11-23 14:20:12+00', 'stamp 2026-11-23T14:20:12Z' },
    { 'timestamptz', text '2026-11-23T14:20:12+01:30', 'stamp 2026-11-23T12:50:12Z' },
    { 'timestamptz', text '2026-11-23T14:20:12-0800', 'stamp 2026-11-23T22:20:12Z' },
    { 'timestamptz', text '2026-11-23T00:20:12+01:00:12', 'stamp 2026-11-22T23:20:00Z' },
    { 'timestamptz', text '2026-11-23T14:20', 'stamp 2026-11-23T14:20:00Z' },
    { 'timestamptz', text '2026-11-23', 'stamp 2026-11-23T00:00:00Z' },
    { 'timestamptz', text '2026-11-23T23:59:60Z', 'stamp 2026-11-24T00:00:00Z' },
    { 'timestamptz', text '2026-12-31T24:00:00Z', 'stamp 2027-01-01T00:00:00Z' },
    { 'timestamptz', text '2026-11-23T14:20:12.9999999Z', 'stamp 2026-11-23T14:20:13Z' },
    { 'timestamptz', text '2026-11-23T14:20:12.0000005Z',
      'stamp 2026-11-23T14:20:12.000001Z' },
    { 'timestamptz', text '1969-12-31T23:59:59.999999Z',
      'stamp 1969-12-31T23:59:59.999999Z' },
    { 'timestamptz', text '0001-01-01T00:00:00Z', 'stamp 0001-01-01T00:00:00Z' },
    { 'timestamptz', text '0001-01-01T00:00:00+01', 'error: outside the years' },
    { 'timestamptz', text '294246-12-31T23:59:59.999999Z',
      'stamp 294246-12-31T23:59:59.999999Z' },
    { 'timestamptz', text '294246-12-31T23:59:59.999999-01', 'error: outside the years' },
    { 'timestamptz', text '292278994-08-16T23:00:00Z', 'error: outside the years' },
    { 'timestamptz', text 'infinity', 'stamp infinity' },
    { 'timestamp(3)', text '-infinity', 'stamp -infinity' },
    { 'timestamp', number '9223372036825200000', 'error: outside the years', in_millis },
    { 'timestamptz', text '2026-11-23T14:20:12+16:00',
      'error: offset that does not exist' },
    { 'timestamptz', text '2026-11-23T14:20:12Zulu', 'error: ISO 8601' },
    { 'timestamptz', text '2026-11-23T14:20:12[Europe/Berlin]', 'error: ISO 8601' },
    { 'timestamptz', text '2026-11-23X14:20', 'error: ISO 8601' },
    { 'timestamptz', text '20261123T142012Z', 'error: ISO 8601' },
    { 'timestamptz', text 'yesterday', 'error: ISO 8601' },
    { 'timestamptz', text '2026-11-23T14:20:12+1', 'error: ISO 8601' },
    { 'timestamptz', text '2026-11-23T', 'error: ISO 8601' },
    { 'timestamptz', text '2026-11-23T14', 'error: ISO 8601' },
    { 'timestamptz', text '2026-02-29T00:00Z', 'error: names a day' },
    { 'timestamp', text '2026-11-23T14:20:12.5', 'stamp 2026-11-23T14:20:12.5' },
    { 'timestamp', text '2026-11-23T14:20:12Z', 'stamp 2026-11-23T14:20:12' },
    { 'timestamp', text '2026-11-23T14:20:12+00:00', 'stamp 2026-11-23T14:20:12' },
    { 'timestamp', text '2026-11-23T14:20:12+01:00',
      'error: has an offset, which a timestamp column cannot hold: use timestamptz' },
    -- Half away from PostgreSQL's epoch, the year 2000.
    { 'timestamptz(3)', text '2026-11-23T14:20:12.9995Z', 'stamp 2026-11-23T14:20:13Z' },
    { 'timestamptz(3)', text '2026-11-23T14:20:12.9994999Z',
      'stamp 2026-11-23T14:20:13Z' },
    { 'timestamptz(0)', text '2026-11-23T14:20:12.499999Z',
      'stamp 2026-11-23T14:20:12Z' },
    { 'timestamp(3)', text '1999-12-31T23:59:59.9995', 'stamp 1999-12-31T23:59:59.999' },
    { 'timestamp(0)', text '1969-12-31T23:59:59.5', 'stamp 1969-12-31T23:59:59' },
    { 'timestamptz', number '1795443612904', 'stamp 2026-11-23T14:20:12.904Z', in_millis },
    { 'timestamptz', number '1795443612904.964', 'stamp 2026-11-23T14:20:12.904964Z', in_millis },
    { 'timestamptz', number '0.0005', 'stamp 1970-01-01T00:00:00.000001Z', in_millis },
    { 'timestamptz', number '0.0004', 'stamp 1970-01-01T00:00:00Z', in_millis },
    { 'timestamptz', number '-1', 'stamp 1969-12-31T23:59:59.999Z', in_millis },
    { 'timestamptz', number '1e30', 'error: outside the years' },
    { 'timestamptz', number '9223372036854775807', 'error: outside the years', in_millis },
    { 'timestamptz', number '1e400', 'error: outside the years' },
    { 'timestamptz', core.double(1795443612904), 'stamp 2026-11-23T14:20:12.904Z', in_millis },
    { 'timestamp', number '1795443612904964', 'stamp 2026-11-23T14:20:12.904964',
      micros },
    { 'timestamp', number '1795443612904', 'stamp 2026-11-23T14:20:12.904', millis },
    { 'timestamp', number '1795443612904964500', 'stamp 2026-11-23T14:20:12.904965',
      nanos },
    { 'timestamp', number '1795443612904964499', 'stamp 2026-11-23T14:20:12.904964',
      nanos },
    { 'timestamp', number '-1500', 'stamp 1969-12-31T23:59:59.999998', nanos },
    { 'timestamp', number '0',
      "error: write times = 'adaptive'", debezium },
    { 'timestamp', known('MILLIS', '1795443612904.964'), 'stamp 2026-11-23T14:20:12.904964',
      schema },
    { 'timestamp', number '9223372036825200000', 'stamp infinity', micros },
    { 'timestamptz', text '2026-11-23T14:20:12.904964Z',
      'stamp 2026-11-23T14:20:12.904964Z', debezium },
    { 'timestamptz', core.bool(true), 'error: is not a timestamp with time zone' },
  })
  it('counts every day of eight centuries as it prints them', function()
    local days = -135140 -- 1600-01-01
    local lengths = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
    for year = 1600, 1599 + core.rounds(800) do
      local is_leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
      for month = 1, 12 do
        for day = 1, lengths[month] + (month == 2 and is_leap and 1 or 0) do
          if day == 1 or day > 27 then
            local written = ('%04d-%02d-%02d'):format(year, month, day)
            local out, got = convert('date', text(written))
            assert.are.equal(days, tonumber(out.i))
            assert.are.equal(written, got)
          end
          days = days + 1
        end
      end
    end
  end)
end)

-- The unit of numbers without schema, by the connector's time.precision.mode.
describe('convert: times of a mode', function()
  local adaptive, adaptive_time = stated(nil, 'ADAPTIVE'), stated(nil, 'ADAPTIVE_TIME')
  local iso = stated(nil, 'ISO')
  local millis, micros, nanos = stated(nil, 'MILLIS'), stated(nil, 'MICROS'), stated(nil, 'NANOS')
  run(it, {
    { 'timestamp(3)', number '1795428000123', 'stamp 2026-11-23T10:00:00.123', adaptive },
    { 'timestamp(0)', number '1795428000000', 'stamp 2026-11-23T10:00:00', adaptive },
    { 'timestamp(4)', number '1795428000123400', 'stamp 2026-11-23T10:00:00.1234', adaptive },
    { 'timestamp', number '1795428000123456', 'stamp 2026-11-23T10:00:00.123456', adaptive },
    { 'timestamp', number '-1', 'stamp 1969-12-31T23:59:59.999999', adaptive },
    { 'time(3)', number '36000123', 'time 10:00:00.123', adaptive },
    { 'time', number '36000123456', 'time 10:00:00.123456', adaptive },
    { 'time(3)', number '36000123000', 'time 10:00:00.123', adaptive_time },
    { 'time(0)', number '36000000000', 'time 10:00:00', adaptive_time },
    { 'time(0)', number '36000000000', "error: as milliseconds: MySQL's connector", adaptive },
    { 'timestamp(3)', number '1795428000123', 'stamp 2026-11-23T10:00:00.123', adaptive_time },
    { 'timestamp', number '1795428000123456', 'stamp 2026-11-23T10:00:00.123456', adaptive_time },
    { 'date', number '20780', 'date 2026-11-23', adaptive },
    { 'timestamp', text '2026-11-23T08:00:00.123456Z', 'stamp 2026-11-23T08:00:00.123456', iso },
    { 'time', text '10:00:00.5Z', 'time 10:00:00.5', iso },
    { 'date', text '2026-11-23Z', 'date 2026-11-23', iso },
    { 'date', text '+12026-11-23Z', 'date 12026-11-23', iso },
    { 'timestamptz', text '2026-11-23T08:00:00.123456Z', 'stamp 2026-11-23T08:00:00.123456Z', iso },
    { 'timestamp', number '1', "error: is a number, though times = 'isostring'", iso },
    { 'time', text '24:00:00Z', 'time 24:00:00', adaptive },
    { 'timestamp', number '9223372036825200000', 'stamp infinity', micros },
    { 'timestamp', number '-9223372036832400000', 'stamp -infinity', adaptive },
    { 'timestamp(3)', number '9223372036825200', 'stamp infinity', adaptive },
    { 'timestamp(3)', number '-9223372036832400', 'stamp -infinity', millis },
    { 'timestamp', number '9223372036854775807', 'stamp infinity', nanos },
    { 'timestamp', number '-9223372036854775808', 'stamp -infinity', nanos },
    { 'timestamptz', text 'infinity', 'stamp infinity', adaptive },
    { 'timestamp', text '+294247-01-10T04:00:25.2Z', 'stamp infinity', adaptive },
    { 'timestamp', text '-290308-12-21T19:59:27.6Z', 'stamp -infinity', adaptive },
    { 'timestamptz', text '-0044-03-15T10:00:00Z', 'error: is outside the years 0001', adaptive },
    { 'timestamptz', text '+12026-11-23T08:00:00Z', 'stamp 12026-11-23T08:00:00Z', adaptive },
    { 'text', text 'infinity', 'text infinity', adaptive },
    { 'bigint', number '93784000000', 'int 93784000000', adaptive },
    { 'text', text 'P1Y2M3DT4H5M6.78S', 'text P1Y2M3DT4H5M6.78S', adaptive },
  })
end)

-- Nothing but the cell itself or kafka{} tells the unit of a number.
describe('convert: the unit of a number', function()
  local micros = said 'MICROS'
  local none = "write times = 'seconds', 'millis', 'micros' or 'nanos' in kafka{}, or in a handler "
  local unsaid = 'error: (2023-11-14T22:13:20 as seconds, 1970-01-20T16:13:20 as milliseconds, '
    .. '1970-01-01T00:28:20 as microseconds) has no stated unit: ' .. none .. 'seconds(x), millis(x)'
  local plain = 'error: has no stated unit: what times says in kafka{} is how the connector writes'
  local beside = { format = C.FORMAT_OUTBOX, is_payload = true, times = C.TIMES_MICROS }
  run(it, {
    { 'timestamptz', number '1700000000', unsaid }, { 'timestamp', number '1700000000', unsaid },
    { 'timestamptz', number '1700000000', unsaid, conversion.outbox },
    { 'timestamptz', number '1700000000', 'error: has no stated unit: ' .. none, schema },
    { 'timestamptz', core.double(1700000000.5), 'error: has no stated unit' },
    { 'date', number '19675', 'error: (2023-11-14 as days, 1970-01-01 as seconds, 1970-01-01 as milliseconds) has no '
      .. 'stated unit: ' .. none .. 'days(x), seconds(x)' },
    { 'time', number '3600', 'error: (01:00:00 as seconds, 00:00:03.6 as milliseconds' },
    { 'timestamptz', number '1700000000000000', 'error: 2023-11-14T22:13:20 as microseconds' },
    { 'timestamptz', number '1e30', 'error: is outside the years' }, { 'time', number '-5000', 'error: is outside a day' },
    { 'timestamptz', number '0', 'stamp 1970-01-01T00:00:00Z' }, { 'date', number '0', 'date 1970-01-01' },
    { 'time', number '0', 'time 00:00:00' },
    { 'timestamptz', number '1700000000', 'stamp 2023-11-14T22:13:20Z', said 'SECONDS' },
    { 'timestamptz', number '1700000000.25', 'stamp 2023-11-14T22:13:20.25Z', said 'SECONDS' },
    { 'timestamptz', number '-0.0000005', 'stamp 1969-12-31T23:59:59.999999Z', said 'SECONDS' },
    { 'timestamptz', number '9223372036854775807', 'error: is outside the years', said 'SECONDS' },
    { 'date', number '-1', 'date 1969-12-31', said 'SECONDS' }, { 'time', number '86400', 'time 24:00:00', said 'SECONDS' },
    { 'timestamptz', number '1700000000000000', 'stamp 2023-11-14T22:13:20Z', micros },
    { 'timestamptz', number '1700000000000000000', 'stamp 2023-11-14T22:13:20Z', said 'NANOS' },
    { 'timestamp', number '1700000000', 'stamp 2023-11-14T22:13:20', stated(nil, 'SECONDS') },
    -- What a schema says of the value comes first.
    { 'timestamptz', known('MILLIS', '1700000000000'), 'stamp 2023-11-14T22:13:20Z', micros },
    { 'timestamptz', known('MICROS', '1700000000000000'), 'stamp 2023-11-14T22:13:20Z', schema },
    { 'timestamptz', known('NANOS', '1700000000000000000'), 'stamp 2023-11-14T22:13:20Z', debezium },
    { 'date', known('MILLIS', '1700000000000'), 'date 2023-11-14', debezium },
    -- A mode of the connector is for what the connector wrote.
    { 'timestamptz', number '1700000000', plain, beside },
    { 'timestamptz', number '1700000000', plain, { format = C.FORMAT_DEBEZIUM, has_schema = true, times = C.TIMES_MICROS } },
    { 'timestamptz', number '1700000000', plain, { format = C.FORMAT_DEBEZIUM, has_schema = true, times = C.TIMES_ADAPTIVE } },
    { 'timestamptz', number '1700000000', 'stamp 2023-11-14T22:13:20Z',
      { format = C.FORMAT_OUTBOX, is_payload = true, times = C.TIMES_SECONDS } },
    { 'timestamptz', number '5', 'error: write a text of ISO 8601, or seconds(x)', { format = C.FORMAT_JSON, is_literal = true } },
  })
end)

-- What seconds(x) and the like give.
describe('convert: a time in microseconds', function()
  local function moment(usec)
    local cell = core.int(usec)
    cell.tag, cell.hint = C.TM_STAMP, C.TM_HINT_MICROS
    return cell
  end
  for _, rules in ipairs { conversion.json, debezium, schema, stated(nil, 'ADAPTIVE'), stated(nil, 'ISO') } do
    run(it, {
      { 'timestamptz', moment(1700000000600000), 'stamp 2023-11-14T22:13:20.6Z', rules },
      { 'timestamp(0)', moment(1700000000600000), 'stamp 2023-11-14T22:13:21', rules },
      { 'date', moment(-1), 'date 1969-12-31', rules }, { 'time', moment(3600000000), 'time 01:00:00', rules },
      { 'time', moment(1700000000600000), 'error: is outside a day', rules },
      { 'text', moment(1700000000600000), 'text 2023-11-14T22:13:20.6Z', rules },
      { 'varchar(4)', moment(0), 'error: varchar(4) holds 4', rules },
      { 'bigint', moment(5), 'error: the time 1970-01-01T00:00:00.000005Z is not a bigint', rules },
      { 'numeric', moment(5), 'error: is not a numeric', rules }, { 'boolean', moment(5), 'error: is not a boolean', rules },
      { 'double precision', moment(5), 'error: is not a double precision', rules },
      { 'bytea', moment(5), 'error: is not a bytea', rules }, { 'uuid', moment(5), 'error: is not a uuid', rules },
      { 'bigint[]', moment(5), 'error: is not a bigint[]', rules }, { 'jsonb', moment(5), 'json "1970-01-01T00:00:00.000005Z"', rules },
    })
  end
end)
