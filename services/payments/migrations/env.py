"""Runs the migrations of the payments service."""

from services.kit import migrations

migrations.run_environment()
