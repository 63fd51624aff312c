-- Accounts of a bank: events of an outbox become three tables.
return pipeline {
  name = 'bank',
  source = kafka {
    brokers = env('KAFKA_BROKERS', 'localhost:9092'),
    group = 'bank',
    topics = { 'outbox.event.account' },
    format = 'outbox',
    start = 'earliest',
  },
  database = postgres { write = env('DATABASE_URL', 'postgresql://localhost/bank') },
  projections = { 'projections.balances', 'projections.ledger', 'projections.totals' },
}
