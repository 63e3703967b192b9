"""Runs the scripts in `versions/`."""

from services.kit import migrations

migrations.run_environment()
