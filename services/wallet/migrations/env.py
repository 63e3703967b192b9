"""Alembic's entry; everything is in the kit."""

from services.kit import migrations

migrations.run_environment()
