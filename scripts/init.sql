-- Run once by PostgreSQL, by its superuser, when the volume is empty: what only a superuser may do.
-- Tables are not made here: `pyeino migrate`, or the start of a server, makes them and brings them
-- forward, on databases of any age.

-- Vectors, for retrieval on PostgreSQL.
CREATE EXTENSION IF NOT EXISTS vector;

-- The server is no superuser: row-level security holds for it, and it cannot read server files.
-- Its password is in a file that Compose mounts (`make compose-env` makes it).
\set app_password `cat "${EINO_PASSWORD_FILE:-/run/secrets/eino_password}"`
CREATE ROLE eino LOGIN PASSWORD :'app_password';
-- The owner of a database may make tables in its schema "public"; nobody else may.
SELECT format('ALTER DATABASE %I OWNER TO eino', current_database()) \gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
