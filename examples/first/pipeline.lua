-- Where events come from and where rows go. `tidemill check` explains what is
-- made of this file, `tidemill run` runs it.
return pipeline {
  name = 'first_pipeline', -- positions are kept under this name: never change it

  source = kafka {
    -- env(NAME, default) reads the environment; file('/run/secrets/x') a file.
    brokers = env('KAFKA_BROKERS', 'localhost:9092'),
    group = 'first_pipeline', -- as the name: no two pipelines may share one
    topics = { 'outbox.event.account' },
    -- outbox: Debezium's EventRouter; debezium: changes of tables; json: any.
    format = 'outbox',
    -- It begins at the first records, into empty tables; start = 'latest' begins
    -- with those to come.
  },

  database = postgres {
    write = env('DATABASE_URL', 'postgresql://localhost/first_pipeline'),
  },

  -- Limits of one transaction. These are the defaults; a backlog never waits
  -- for linger_ms.
  -- batch = { size = 10000, bytes = 8 * 1024 * 1024, linger_ms = 100, concurrency = 4 },

  projections = { 'projections.balances' },
}
