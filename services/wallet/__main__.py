"""Runs the wallet service."""

from services.kit.server import run
from services.wallet import app, config

if __name__ == "__main__":
    run(config.load(), app.build)
