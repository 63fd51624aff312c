-- A copy of a table: what Debezium saw of shop.public.accounts becomes the
-- table accounts_copy, deletes included.
return pipeline {
  name = 'mirror',
  source = kafka {
    brokers = env('KAFKA_BROKERS', 'localhost:9092'),
    group = 'mirror',
    topics = { 'shop.public.accounts' },
    format = 'debezium',
    decimals = 'string',
    start = 'earliest',
  },
  database = postgres { write = env('DATABASE_URL', 'postgresql://localhost/mirror') },
  projections = { 'projections.accounts' },
}
