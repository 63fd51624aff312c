-- What `tidemill dev` feeds this pipeline with: every account is filled first,
-- then money moves between two of them. The nth event depends on n and random
-- alone.
local ACCOUNTS = 2000

return {
  topics = { transfers = { partitions = 4 } },
  next = function(n, random)
    local from, to = random(1, ACCOUNTS), random(1, ACCOUNTS)
    local value = '{"from":"account-%d","to":"account-%d","amount":%d}'
    if n <= ACCOUNTS then
      value, from, to = '{"to":"account-%d","amount":1000000}', n, nil
    end
    return { topic = 'transfers', value = value:format(from, to, random(1, 100)) }
  end,
}
