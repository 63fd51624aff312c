local ffi = require 'ffi'
local names = require 'tidemill.plan.names'
local core = require 'spec.core.core'
local C = core.lib

core.headers('base/buf.h', 'model/type.h', 'model/plan.h', 'postgres/sql/sql.h', 'postgres/sql/sql_text.h')

local arena = core.arena()
local kept = {}

local function keep(v)
  kept[#kept + 1] = v
  return v
end

--- A projection on a table; columns are { name, type, merge }, keys first.
local function projection(p)
  local columns = keep(ffi.new('struct plan_column[?]', math.max(#p, 1)))
  for i, column in ipairs(p) do
    columns[i - 1].name = keep(column[1])
    assert(C.type_parse(column[2], columns[i - 1].type))
    columns[i - 1].merge = column[3] or C.MERGE_NONE
  end
  local out = keep(ffi.new('struct plan_projection'))
  out.table, out.columns, out.n_columns = keep(p.table or 't'), columns, #p
  local schema, name = names.table(out.table ~= nil and ffi.string(out.table))
  out.name.schema, out.name.table = keep(assert(schema, name)), keep(name)
  out.n_key, out.newer, out.once = p.key or 1, p.newer or -1, p.once or -1
  out.is_part, out.part_of = p.part_of ~= nil, p.part_of or -1
  out.kind, out.exact = p.kind or C.KIND_FOLD, p.exact or C.EXACT_ALIGNED
  return out
end

--- A set of columns: bit i is columns[i].
local function set(bits) return keep(ffi.new('uint64_t[1]', bits)) end

local function is(expected, text)
  assert.are.equal(expected, ffi.string(text))
end

local function balances(exact, kind)
  return projection { { 'id', 'uuid' }, { 'owner', 'varchar(9)' }, { 'tags', 'text[]' },
    exact = exact, kind = kind }
end

describe('sql_load', function()
  it('reads xmin of aligned rows, by index from the keys', function()
    is('SELECT u.o, t.xmin, t."owner", t."tags"::text FROM unnest($1::uuid[]) '
      .. 'WITH ORDINALITY AS u(c0, o) JOIN "t" AS t ON t."id" = u.c0',
      C.sql_load(arena, nil, balances(C.EXACT_ALIGNED), false))
  end)
  it('locks shared rows in the order of the keys', function()
    is('SELECT u.o, t."owner", t."tags"::text FROM unnest($1::uuid[]) '
      .. 'WITH ORDINALITY AS u(c0, o) JOIN "t" AS t ON t."id" = u.c0 '
      .. 'ORDER BY u.o FOR NO KEY UPDATE OF t',
      C.sql_load(arena, nil, balances(C.EXACT_SHARED), false))
  end)
  it('matches every key column', function()
    is('SELECT u.o FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS u(c0, c1, o) '
      .. 'JOIN "t" AS t ON t."a" = u.c0 AND t."b" = u.c1 '
      .. 'ORDER BY u.o FOR NO KEY UPDATE OF t',
      C.sql_load(arena, nil, projection { { 'a', 'bigint' }, { 'b', 'text' }, key = 2,
        exact = C.EXACT_SHARED }, false))
  end)
  it('locks aligned rows where that is asked for, and shared ones all the same', function()
    for _, exact in ipairs { C.EXACT_ALIGNED, C.EXACT_SHARED } do
      assert.matches(' ORDER BY u.o FOR NO KEY UPDATE OF t$',
        ffi.string(C.sql_load(arena, nil, balances(exact), true)))
    end
  end)
end)

describe('sql_update', function()
  it('counts aligned rows that still have their xmin', function()
    is('WITH w AS (UPDATE "t" AS t SET "owner" = u.c1, "tags" = u.c2::text[] '
      .. 'FROM unnest($1::uuid[], $2::text[], $3::text[], $4::xid[]) '
      .. 'AS u(c0, c1, c2, x) WHERE t."id" = u.c0 AND t.xmin = u.x RETURNING 1) '
      .. "SELECT tidemill.must((SELECT count(*) FROM w) = $5, 'TM002')",
      C.sql_update(arena, nil, balances(C.EXACT_ALIGNED), set(6)))
  end)
  it('takes only the columns of the mask', function()
    is('WITH w AS (UPDATE "t" AS t SET "tags" = u.c2::text[] '
      .. 'FROM unnest($1::uuid[], $2::text[]) AS u(c0, c2) WHERE t."id" = u.c0 '
      .. "RETURNING 1) SELECT tidemill.must((SELECT count(*) FROM w) = $3, 'TM002')",
      C.sql_update(arena, nil, balances(C.EXACT_SHARED), set(4)))
  end)
end)

describe('sql_update of no column', function()
  it('sets one that is no key, which might be an identity, to what it is', function()
    is('WITH w AS (UPDATE "t" AS t SET "owner" = t."owner" FROM unnest($1::uuid[]) AS u(c0) '
      .. 'WHERE t."id" = u.c0 RETURNING 1) '
      .. "SELECT tidemill.must((SELECT count(*) FROM w) = $2, 'TM002')",
      C.sql_update(arena, nil, balances(C.EXACT_OVERWRITE, C.KIND_MIRROR), set(0)))
  end)
end)

describe('sql_update of a part of a row with newer', function()
  it('counts the rows that are there, and changes those that are older', function()
    local p = projection { { 'id', 'bigint' }, { 'a', 'text' }, { 'v', 'text' },
      kind = C.KIND_MIRROR, exact = C.EXACT_OVERWRITE, newer = 2 }
    is('WITH w AS (UPDATE "t" AS t SET "v" = u.c2 FROM unnest($1::int8[], $2::text[]) '
      .. 'AS u(c0, c2) WHERE t."id" = u.c0 AND (t."v" COLLATE "C" < u.c2 OR t."v" IS NULL)) '
      .. 'SELECT tidemill.must((SELECT count(*) FROM unnest($1::int8[]) AS u(c0) '
      .. 'JOIN "t" AS t ON t."id" = u.c0) = $3, \'TM002\')', C.sql_update(arena, nil, p, set(4)))
  end)
end)

describe('sql_insert', function()
  it('counts the rows that were not there', function()
    is('WITH w AS (INSERT INTO "t" AS t ("id", "owner") OVERRIDING SYSTEM VALUE SELECT u.c0, u.c1 '
      .. 'FROM unnest($1::uuid[], $2::text[]) AS u(c0, c1) '
      .. 'ON CONFLICT ("id") DO NOTHING RETURNING 1) '
      .. "SELECT tidemill.must((SELECT count(*) FROM w) = $3, 'TM002')",
      C.sql_insert(arena, nil, balances(C.EXACT_SHARED), set(2)))
  end)
end)

describe('sql_insert of a part of a row', function()
  it('takes a row that is there while none of its columns has a value', function()
    is('WITH w AS (INSERT INTO "t" AS t ("id", "owner") OVERRIDING SYSTEM VALUE SELECT u.c0, u.c1 '
      .. 'FROM unnest($1::uuid[], $2::text[]) AS u(c0, c1) '
      .. 'ON CONFLICT ("id") DO UPDATE SET "owner" = EXCLUDED."owner" '
      .. 'WHERE ROW(t."owner", t."tags") IS NULL RETURNING 1) '
      .. "SELECT tidemill.must((SELECT count(*) FROM w) = $3, 'TM002')",
      C.sql_insert(arena, nil, projection { { 'id', 'uuid' }, { 'owner', 'varchar(9)' }, { 'tags', 'text[]' },
        exact = C.EXACT_SHARED, part_of = 0 }, set(2)))
  end)
end)

describe('sql_upsert', function()
  local columns = { { 'id', 'bigint' }, { 'a', 'jsonb' }, { 'version', 'bigint' } }
  local head = 'INSERT INTO "t" AS t ("id", "a", "version") OVERRIDING SYSTEM VALUE SELECT u.c0, u.c1, u.c2 '
    .. 'FROM unnest($1::int8[], $2::jsonb[], $3::int8[]) AS u(c0, c1, c2) '
    .. 'ON CONFLICT ("id") DO UPDATE SET "a" = EXCLUDED."a", '
    .. '"version" = EXCLUDED."version"'

  it('overwrites', function()
    is(head, C.sql_upsert(arena, nil, projection(columns), set(6)))
  end)
  it('lets only a newer row overwrite', function()
    local p = projection(columns)
    p.newer = 2
    is(head .. ' WHERE t."version" < EXCLUDED."version" OR t."version" IS NULL',
      C.sql_upsert(arena, nil, p, set(6)))
  end)
  it('compares versions that are texts byte by byte', function()
    local p = projection { { 'id', 'bigint' }, { 'v', 'text' } }
    p.newer = 1
    local sql = ffi.string(C.sql_upsert(arena, nil, p, set(2)))
    assert.is_truthy(sql:find('WHERE t."v" COLLATE "C" < EXCLUDED."v" OR', 1, true), sql)
  end)
  it('does nothing without columns', function()
    is('INSERT INTO "t" AS t ("id") OVERRIDING SYSTEM VALUE SELECT u.c0 FROM unnest($1::int8[]) AS u(c0) '
      .. 'ON CONFLICT ("id") DO NOTHING', C.sql_upsert(arena, nil, projection(columns), set(0)))
  end)
end)

describe('sql_delete', function()
  it('counts the rows of a fold', function()
    is('WITH w AS (DELETE FROM "t" AS t USING unnest($1::uuid[], $2::xid[]) AS u(c0, x) '
      .. 'WHERE t."id" = u.c0 AND t.xmin = u.x RETURNING 1) '
      .. "SELECT tidemill.must((SELECT count(*) FROM w) = $3, 'TM002')",
      C.sql_delete(arena, nil, balances(C.EXACT_ALIGNED)))
  end)
  it('does not count those of a mirror', function()
    is('DELETE FROM "t" AS t USING unnest($1::uuid[]) AS u(c0) WHERE t."id" = u.c0',
      C.sql_delete(arena, nil, balances(C.EXACT_OVERWRITE, C.KIND_MIRROR)))
  end)
end)

describe('sql_delete with versions', function()
  it('takes older rows, and each row where a delete has none', function()
    local p = projection { { 'id', 'bigint' }, { 'v', 'bigint' }, newer = 1,
      kind = C.KIND_MIRROR, exact = C.EXACT_OVERWRITE }
    p.newer_deletes = true
    is('DELETE FROM "t" AS t USING unnest($1::int8[], $2::int8[]) AS u(c0, c1) '
      .. 'WHERE t."id" = u.c0 AND (t."v" < u.c1 OR t."v" IS NULL OR u.c1 IS NULL)',
      C.sql_delete(arena, nil, p))
  end)
end)

describe('sql_empty', function()
  it('empties a table at once', function()
    is('TRUNCATE TABLE "app"."b"', C.sql_empty(arena, nil, projection { { 'id', 'bigint' },
      table = 'app.b' }))
  end)
end)

describe('sql_verify', function()
  it('counts rows that still have their xmin, and changes none', function()
    is('SELECT tidemill.must((SELECT count(*) FROM unnest($1::uuid[], $2::xid[]) '
      .. 'AS u(c0, x) JOIN "t" AS t ON t."id" = u.c0 AND t.xmin = u.x) = $3, '
      .. "'TM002')", C.sql_verify(arena, nil, balances(C.EXACT_ALIGNED)))
  end)
end)

describe('sql_merge', function()
  it('combines by word and leaves NULL what got no contribution', function()
    is('INSERT INTO "t" AS t ("k", "s", "lo", "hi") OVERRIDING SYSTEM VALUE SELECT u.c0, u.c1, u.c2, u.c3 '
      .. 'FROM unnest($1::text[], $2::int8[], $3::numeric[], $4::date[]) '
      .. 'AS u(c0, c1, c2, c3) ON CONFLICT ("k") DO UPDATE SET '
      .. '"s" = coalesce(t."s" + EXCLUDED."s", t."s", EXCLUDED."s"), '
      .. '"lo" = least(t."lo", EXCLUDED."lo"), "hi" = greatest(t."hi", EXCLUDED."hi")',
      C.sql_merge(arena, nil, projection { { 'k', 'text' }, { 's', 'bigint', C.MERGE_SUM },
        { 'lo', 'numeric', C.MERGE_MIN }, { 'hi', 'date', C.MERGE_MAX },
        kind = C.KIND_MERGE, exact = C.EXACT_MERGE }, set(14)))
  end)
end)

describe('sql_append', function()
  it('has no key', function()
    is('INSERT INTO "t" AS t ("b") OVERRIDING SYSTEM VALUE SELECT u.c1 FROM unnest($1::json[]) AS u(c1)',
      C.sql_append(arena, nil, projection { { 'a', 'text' }, { 'b', 'json' }, key = 0,
        kind = C.KIND_APPEND }, set(2)))
  end)
  it('with once leaves out what is there, and says how many it inserted', function()
    is('WITH w AS (INSERT INTO "t" AS t ("a", "b") OVERRIDING SYSTEM VALUE SELECT u.c0, u.c1 '
      .. 'FROM unnest($1::text[], $2::json[]) AS u(c0, c1) ON CONFLICT ("a") DO NOTHING '
      .. 'RETURNING 1) SELECT count(*) FROM w',
      C.sql_append(arena, nil, projection { { 'a', 'text' }, { 'b', 'json' }, key = 0, once = 0,
        kind = C.KIND_APPEND }, set(3)))
  end)
  it('refuses rows of no columns', function()
    is("SELECT tidemill.must(false, '22004')",
      C.sql_append(arena, nil, projection { { 'a', 'text' }, key = 0,
        kind = C.KIND_APPEND }, set(0)))
  end)
end)

describe('identifiers', function()
  it('are quoted, schema and table apart', function()
    is('DELETE FROM "my""app"."Order.s" AS t USING unnest($1::int2[]) AS u(c0) '
      .. 'WHERE t."a""; DROP" = u.c0',
      C.sql_delete(arena, nil, projection { { 'a"; DROP', 'smallint' },
        table = '"my""app"."Order.s"', kind = C.KIND_MAP }))
  end)
end)

describe('what a pipeline is to write', function()
  local function text(put, ...)
    local b = ffi.new('struct buf')
    put(b, ...)
    return ffi.string(b.data, b.len)
  end
  it('quotes names as a pipeline does', function()
    local function written(schema, name)
      local n = ffi.new('struct plan_name')
      n.table = keep(name)
      return text(C.sql_put_written, schema, n)
    end
    assert.are.equal("table = 'app.order lines'", written('app', 'order lines'))
    assert.are.equal([[table = '"a.b"."say ""it\'s"""']], written('a.b', 'say "it\'s"'))
    assert.are.equal('x1', text(C.sql_put_field, 'x1'))
    assert.are.equal("['1x']", text(C.sql_put_field, '1x'))
    for _, word in ipairs { 'end', 'goto', 'and' } do
      assert.are.equal("['" .. word .. "']", text(C.sql_put_field, word))
    end
    assert.are.equal('ends', text(C.sql_put_field, 'ends'))
    assert.are.equal("['it\\'s']", text(C.sql_put_field, "it's"))
  end)
end)

describe('DDL', function()
  it('adds the columns of a later projection to its table', function()
    is([[
ALTER TABLE "app"."b"
    ADD COLUMN IF NOT EXISTS "at" timestamptz,
    ADD COLUMN IF NOT EXISTS "n" integer;
]], C.sql_table(arena, projection { { 'id', 'uuid' }, { 'at', 'timestamptz' }, { 'n', 'integer' },
      table = 'app.b', part_of = 0 }))
  end)
  it('makes a table with its key', function()
    is([[
CREATE SCHEMA IF NOT EXISTS "app";
CREATE TABLE IF NOT EXISTS "app"."b" (
    "id" uuid,
    "at" timestamptz(3),
    "name" varchar(9),
    PRIMARY KEY ("id")
) WITH (fillfactor = 80);
]], C.sql_table(arena, projection { { 'id', 'uuid' }, { 'at', 'timestamptz(3)' },
      { 'name', 'varchar(9)' }, table = 'app.b' }))
  end)
  it('gives an appended table neither key nor spare room', function()
    is([[
CREATE TABLE IF NOT EXISTS "l" (
    "n" bigint
);
]], C.sql_table(arena, projection { { 'n', 'bigint' }, table = 'l', key = 0,
      kind = C.KIND_APPEND }))
  end)
  it('makes the column of once a primary key', function()
    is([[
CREATE TABLE IF NOT EXISTS "l" (
    "n" bigint,
    "id" text,
    PRIMARY KEY ("id")
);
]], C.sql_table(arena, projection { { 'n', 'bigint' }, { 'id', 'text' }, table = 'l',
      key = 0, once = 1, kind = C.KIND_APPEND }))
  end)
  it('can be run twice', function()
    for statement in ffi.string(C.sql_schema()):gmatch('CREATE [^(;]*') do
      assert.is_truthy(statement:find('IF NOT EXISTS') or statement:find('OR REPLACE'),
        statement)
    end
  end)
end)
