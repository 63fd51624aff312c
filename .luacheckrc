-- What `make lint` asks of Lua.
std = 'luajit'
max_line_length = 90
cache = false
exclude_files = { 'build', 'build-debug', 'build-mutants' }

-- The words of a pipeline; the sandbox gives nothing else that is global.
local words = {
  'pipeline', 'kafka', 'postgres', 'projection', 'rule', 'grouping', 'env', 'file',
  'decimal', 'null', 'failure', 'tidemill',
  'seconds', 'millis', 'micros', 'nanos', 'days',
}
-- Case tables are read as tables.
files['spec/core'] = { max_line_length = 150 }
files['spec/unit'] = { max_line_length = 150 }
files['rules'] = { read_globals = words }
files['examples'] = { read_globals = words }
files['spec/fixtures'] = { read_globals = words, ignore = { '212' } }
files['spec/faults/mill'] = { read_globals = words }
files['spec/faults/copy'] = { read_globals = words }
files['spec/debezium/copies'] = { read_globals = words }
files['spec/simulate/world'] = { read_globals = words }
files['spec/bench/*/pipeline.lua'] = { read_globals = words }
files['**/*_spec.lua'] = { std = '+busted' }
-- Stubs that only an editor reads.
files['scripts/tidemill/meta*.lua'] = { ignore = { '111', '112', '113', '122', '131', '212', '241' } }
