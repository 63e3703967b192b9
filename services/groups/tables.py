"""The tables of the schema `groups`: those that every service with keys and events has."""

from sqlalchemy import MetaData

from services.kit import audit, idempotency, inbox, outbox

__all__ = ["metadata"]

metadata = MetaData()

audit.table(metadata)
idempotency.table(metadata)
inbox.table(metadata)
outbox.table(metadata)
