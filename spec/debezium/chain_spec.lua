-- The whole chain: an application writes to PostgreSQL, the real Debezium
-- connector tells Kafka, Tidemill makes read models in another database; the
-- connector and Tidemill are killed in the middle of the load. At the end source
-- and copies are compared row by row: the source's tables are the model.
local bank = require 'bank'
local chain = require 'spec.debezium.chain'
local pg = require 'pg'
local shop = require 'spec.debezium.shop'
local tidemill = require 'tidemill'

local SEED = tonumber(os.getenv('SEED') or 11)

describe('the chain', function()
  it('copies every table and event, whoever dies on the way', function()
    local url, source = pg.create(tidemill.unique('shop'))
    local app = shop.new(source, { seed = SEED })
    -- A snapshot tells of what is there before the connectors come.
    for _ = 1, 50 do app:step() end
    local s = chain.new(url, app, bank.random(SEED))
    finally(function() s:destroy() end)
    s:settle()
    s:suffer()
    app:add_column()
    s:suffer()
    local repeated = s:finish()
    s:wait_caught_up()
    s:check()
    assert.is_true(app.n_truncates > 2)
    -- It was no easy run: everybody died, and each connector told things twice.
    assert.same({ connect = 2, supervisor = 4, worker = 8 }, s.kills)
    for topic, n in pairs(repeated) do assert.is_true(n > 0, topic) end
  end)
end)
