-- What Tidemill makes of the shop at the end of the chain: every table and event
-- by several connectors, each with settings of its own.
local folds = require 'folds'
local mirrors = require 'mirrors'

return pipeline {
  name = 'copies',
  source = kafka {
    brokers = env('KAFKA_BROKERS'),
    group = 'copies',
    topics = {
      { 'plain.public.accounts', 'plain.public.stock', 'plain.transaction',
        'plain.message', '__debezium-heartbeat.plain', format = 'debezium',
        decimals = 'string', times = 'micros' },
      { 'plain.public.visits', format = 'debezium', truncate = 'apply' },
      { 'schema.public.accounts', 'schema.public.stock', '__debezium-heartbeat.schema',
        format = 'debezium' },
      { 'flat.public.accounts', format = 'debezium', flattened = 'rewrite',
        decimals = 'precise', times = 'micros' },
      { 'gone.public.stock', format = 'debezium', flattened = 'tombstone',
        decimals = 'double' },
      { 'outbox.event.wallet', format = 'outbox' },
      { 'rows.public.outbox', format = 'outbox', outbox = { table = {} } },
    },
    start = 'earliest',
  },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 50, linger_ms = 5 },
  projections = {
    mirrors.accounts('plain'),
    mirrors.accounts('schema'),
    mirrors.accounts('flat'),
    mirrors.stock('plain'),
    mirrors.stock('schema'),
    mirrors.stock('gone'),
    mirrors.visits('plain'),
    folds.balances('router', 'outbox.event.wallet'),
    folds.balances('rows', 'rows.public.outbox'),
    folds.ledger('router', 'outbox.event.wallet'),
    folds.ledger('rows', 'rows.public.outbox'),
    folds.totals('outbox.event.wallet'),
  },
}
