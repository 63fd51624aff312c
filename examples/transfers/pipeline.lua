-- Transfers between accounts: one event changes two accounts and a ledger.
return pipeline {
  name = 'transfers',
  source = kafka {
    brokers = env('KAFKA_BROKERS', 'localhost:9092'),
    group = 'transfers',
    topics = { 'transfers' },
    format = 'json',
    start = 'earliest',
  },
  database = postgres { write = env('DATABASE_URL', 'postgresql://localhost/transfers') },
  projections = { 'projections.transfers' },
}
