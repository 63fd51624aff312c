-- A fold whose records may be bad: see failures.lua.
return pipeline {
  name = 'failing',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = env('BENCH_GROUP'),
    topics = { env('BENCH_TOPIC') }, format = 'json', type = 'data.kind',
    start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  dead_letters = { max_share = 1 },
  projections = {
    projection {
      table = 'sums',
      key = { id = { 'uuid', from = 'key' } },
      columns = { amount = 'bigint', n = 'bigint' },
      initial = { amount = 0, n = 0 },
      on = {
        add = function(row, event)
          row.amount = row.amount + event.data.amount
          row.n = row.n + 1
        end,
      },
    },
  },
}
