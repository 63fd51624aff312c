-- What keeps each projection exact, decided from its source and its key, with
-- one sentence that says why.
local M = {}

-- The key of an event in raw outbox rows is a column; the record's is the row's.
local function follows_record_key(p)
  if p.reads_raw_outbox or p.is_shared then return false end
  for i = 1, p.n_key do
    local from = p.columns[i].from
    if from ~= 'key' and from ~= 'field' then return false end
  end
  return true
end

local function names(p)
  local list = {}
  for i = 1, p.n_key do list[i] = p.columns[i].name end
  return table.concat(list, ', ')
end

local function why_shared(p, topics)
  if p.is_shared then return 'it says shared = true, so two lanes may change one row' end
  if p.n_key > 0 and p.columns[1].from == 'asked' then
    return 'its rows are asked for by key, so two lanes may change one row'
  end
  if #topics > 1 then
    return ('%d topics feed it, so two lanes may change one row'):format(#topics)
  elseif p.reads_raw_outbox then
    return ("topic '%s' holds raw outbox rows, whose record key is not the event's: two "
      .. 'lanes may change one row, and events of one key keep their order (and wait '
      .. 'for a failed one) only with one partition or the connector\'s '
      .. 'message.key.columns'):format(topics[1])
  end
  return ('its key (%s) is not the record key, so two lanes may change one row')
    :format(names(p))
end

-- What `newer` adds to the sentence; a row that is gone has no version.
local function with_newer(p)
  local name = p.columns[p.newer + 1].name
  local text = (" a row is written only when '%s' is greater than what is stored")
    :format(name)
  if not p.follows_deletes then return text end
  return text .. '; a late record after a delete brings its row back (map = true with '
    .. 'a handler for d can mark rows instead)'
end

-- Why the events of a row come in order; plan_is_keyed_by_record asks the same.
local function proof(p)
  return ('its key (%s) is the record key (each record is checked: another key halts its '
    .. 'lane)'):format(names(p))
end

-- Does a version alone tell which event of a row is the later one?
local function needs_no_order(p)
  return p.newer >= 0 and (not p.follows_deletes or p.newer_deletes)
end

local function overwrite(checker, record, p, topics, is_aligned)
  local word = p.kind
  p.is_owner = is_aligned
  if is_aligned then
    return 'overwrite', ("each event of topic '%s' gives the whole row%s: rows are "
      .. 'written without reading them%s%s'):format(topics[1], needs_no_order(p) and ''
        or ', and events of one row come in order, since ' .. proof(p),
      p.reads_tombstones and '; a record without a value deletes its row' or '',
      p.newer >= 0 and ';' .. with_newer(p) or '')
  end
  if p.follows_deletes then
    checker.fail(record, { 'key' }, ('%s: a %s that follows deletes could bring a '
      .. 'deleted row back: make the row key the record key of one topic (topics = '
      .. "{ '…' }), use map = true with a handler for d that marks the row, or on = … "
      .. 'as a fold'):format(why_shared(p, topics), word))
  elseif p.newer < 0 then
    checker.fail(record, {}, ('%s: name the column that tells which is the later one: '
      .. "newer = 'version'"):format(why_shared(p, topics)))
  end
  return 'overwrite', ('%s:%s'):format(why_shared(p, topics),
    p.newer >= 0 and with_newer(p) or '')
end

-- What `once` adds to the sentence.
local function with_once(p, exact, why)
  if p.once < 0 then return exact, why end
  local name = p.columns[p.once + 1].name
  if p.kind == 'append' then
    return exact, ("%s; an event whose '%s' is in the table already inserts nothing")
      :format(why, name)
  end
  return exact, ("%s; an event is applied only when its %s is above the row's '%s'")
    :format(why, p.once_path, name)
end

local function decide(checker, record, p, all)
  local topics = p.topics or all
  local is_aligned = #topics == 1 and follows_record_key(p)
  if p.kind == 'append' then
    return 'append', 'every event makes a row of its own: rows are inserted and never '
      .. 'read'
  elseif p.kind == 'merge' then
    return 'merge', 'events contribute to columns that the server combines (sum, min, '
      .. 'max): no row is read, and several lanes may write one row'
  elseif p.kind == 'map' or p.kind == 'mirror' then
    return overwrite(checker, record, p, topics, is_aligned)
  elseif is_aligned then
    return 'aligned', ("topic '%s' alone feeds it and %s: rows are read before the "
      .. 'transaction, and changed only if they are still as they were read')
      :format(topics[1], proof(p))
  end
  return 'shared', why_shared(p, topics) .. ': rows are locked inside the transaction'
    .. (p.in_set and '' or '; merge is cheaper where columns only add up')
end

---@return string exact, string why
function M.decide(checker, record, p, all)
  return with_once(p, decide(checker, record, p, all))
end

return M
