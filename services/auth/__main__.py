"""Runs the auth service."""

import os

from services.auth import app, config
from services.kit import server

if __name__ == "__main__":
    server.run(config.load(os.environ), app.build)
