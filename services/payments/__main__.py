"""`python -m services.payments`."""

import os

from services.kit.server import run
from services.payments import app, config

if __name__ == "__main__":
    run(config.load(os.environ), app.build)
