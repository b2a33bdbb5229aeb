-- What examples/backends/postgrest.ts needs of a database behind PostgREST: for each collection a table with these
-- columns and triggers. The columns between are the entity's fields; null stands for a field that is not there.

create schema if not exists api;

create table api.todos (
  id text primary key,
  title text,
  done boolean,
  votes integer,
  tags text[],
  -- Compare-and-set.
  version bigint not null default 1,
  updated_at timestamptz not null default clock_timestamp(),
  -- A row that is deleted stays, or nobody would be told.
  deleted boolean not null default false,
  -- The transaction that wrote the row last: the order in which changes are read.
  changed bigint not null default pg_current_xact_id()::text::bigint
);
create index on api.todos (changed, id);

-- The changes, without those that a transaction which still runs may come before: a reader who has passed a place never
-- finds anything new behind it.
create view api.todos_changes with (security_invoker = true) as
  select * from api.todos where changed < pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- The edits that were stored: the replica table. It makes delivery exactly-once. Rows older than a month can go.
create table api.edits (
  replica text not null,
  n text not null,
  at timestamptz not null default now(),
  constraint edits_once primary key (replica, n)
);

-- In the transaction of the write itself: whoever comes again breaks `edits_once`, and writes nothing.
create function api.stamp() returns trigger language plpgsql as $$
declare
  headers json := coalesce(current_setting('request.headers', true), '{}')::json;
begin
  if headers ->> 'x-replica' is not null then
    insert into api.edits (replica, n) values (headers ->> 'x-replica', headers ->> 'x-edit');
  end if;
  if tg_op = 'UPDATE' then
    new.version := old.version + 1;
  end if;
  new.updated_at := clock_timestamp();
  new.changed := pg_current_xact_id()::text::bigint;
  return new;
end $$;

create trigger stamp before insert or update on api.todos for each row execute function api.stamp();
