-- f: events of an outbox, folded into a row an account.
return pipeline {
  name = 'bench',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = env('BENCH_GROUP'),
    topics = { env('BENCH_TOPIC') }, format = 'outbox', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  batch = { size = tonumber(env('BENCH_SIZE', '10000')) },
  cache = env('BENCH_CACHE', 'on') == 'on',
  projections = {
    projection {
      table = 'balances',
      key = { id = { 'uuid', from = 'key' } },
      columns = { owner = 'text', balance = 'numeric(18,2)', version = 'bigint' },
      initial = { balance = 0, version = 0 },
      on = {
        AccountCreated = function(row, event)
          row.owner = event.data.owner
          row.version = row.version + 1
        end,
        MoneyDeposited = function(row, event)
          row.balance = row.balance + event.data.amount
          row.version = row.version + 1
        end,
        MoneyWithdrawn = function(row, event)
          row.balance = row.balance - event.data.amount
          row.version = row.version + 1
        end,
      },
    },
  },
}
