-- Words of Debezium and of Kafka Connect that more than one script says: classes, the
-- property that places the type of an event, and the modes of time.precision.mode.
local M = {
  STRING_CONVERTER = 'org.apache.kafka.connect.storage.StringConverter',
  JSON_CONVERTER = 'org.apache.kafka.connect.json.JsonConverter',
  EVENT_ROUTER = 'io.debezium.transforms.outbox.EventRouter',
  UNWRAP = 'io.debezium.transforms.ExtractNewRecordState',
  PLACEMENT = 'transforms.outbox.table.fields.additional.placement',
  -- Modes for which kafka{} has a shorter word: [mode] = the unit of all times.
  UNITS = { connect = 'millis', microseconds = 'micros', nanoseconds = 'nanos' },
}

-- No connector writes seconds: another transform makes them.
local MODES = { unsaid = 'adaptive', seconds = 'adaptive' }
for mode, unit in pairs(M.UNITS) do MODES[unit] = mode end

---@param times string `times` of a topic, as source.lua keeps it
---@return string # the time.precision.mode of its connector
function M.time_mode(times) return MODES[times] or times end

return M
