-- u and z: change events of a table, overwritten by key.
return pipeline {
  name = 'bench',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = env('BENCH_GROUP'),
    topics = { env('BENCH_TOPIC') }, format = 'debezium', times = 'micros',
    start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  projections = {
    projection {
      table = 'accounts',
      mirror = true,
      key = { id = 'bigint' },
      columns = { owner = 'text', balance_cents = 'bigint', is_active = 'boolean',
        updated_at = 'timestamptz' },
    },
  },
}
