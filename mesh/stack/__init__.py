"""The local stack: embedded Postgres and Valkey, certificates, keys, processes and their supervisor."""
