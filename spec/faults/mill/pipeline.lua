-- Every kind of projection that one topic can feed, in one transaction; small
-- batches, so that faults meet many of them.
return pipeline {
  name = 'mill',
  source = kafka {
    brokers = env('FAULTS_BROKERS'),
    group = env('FAULTS_MILL'),
    topics = { env('FAULTS_MILL') },
    format = 'json',
    type = 'data.kind',
    start = 'earliest',
  },
  database = postgres { write = env('DATABASE_URL') },
  -- Short, so that a batch has both rows that are cached and rows to load.
  cache = { ttl_s = 1 },
  batch = { size = 40, linger_ms = 10, concurrency = 3 },
  projections = {
    'projections.accounts', 'projections.owners', 'projections.totals',
    'projections.ledger', 'projections.newest', 'projections.logs', 'projections.wide',
  },
}
