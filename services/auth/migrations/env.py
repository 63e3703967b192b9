"""Alembic asks here how to run our migrations."""

from services.kit import migrations

migrations.run_environment()
