"""The migrations of the service that tests of the kit run."""

from services.kit import migrations

migrations.run_environment()
