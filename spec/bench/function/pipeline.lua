-- h: the work of f, done by a batch function.
return pipeline {
  name = 'bench',
  source = kafka { brokers = env('KAFKA_BROKERS'), group = env('BENCH_GROUP'),
    topics = { env('BENCH_TOPIC') }, format = 'outbox', start = 'earliest' },
  database = postgres { write = env('DATABASE_URL') },
  projections = {
    projection {
      tables = {
        balances = {
          key = { id = { 'uuid', from = 'key' } },
          columns = { owner = 'text', balance = 'numeric(18,2)', version = 'bigint' },
          initial = { balance = 0, version = 0 },
        },
      },
      batch = function(_, tables)
        for event, row in tables.balances:events() do
          if event.type == 'AccountCreated' then
            row.owner = event.data.owner
          elseif event.type == 'MoneyDeposited' then
            row.balance = row.balance + event.data.amount
          elseif event.type == 'MoneyWithdrawn' then
            row.balance = row.balance - event.data.amount
          end
          row.version = row.version + 1
        end
      end,
    },
  },
}
