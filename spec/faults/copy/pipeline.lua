-- A table out of its Debezium topic, deletes included.
return pipeline {
  name = 'copy',
  source = kafka {
    brokers = env('FAULTS_BROKERS'),
    group = env('FAULTS_COPY'),
    topics = { env('FAULTS_COPY') },
    format = 'debezium',
    decimals = 'string',
    times = 'micros',
    start = 'earliest',
  },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = 30, linger_ms = 10 },
  projections = { 'projections.copies' },
}
