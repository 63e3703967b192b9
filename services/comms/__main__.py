"""`python -m services.comms`."""

import os

from services.comms import app, config
from services.kit import server

if __name__ == "__main__":
    server.run(config.load(os.environ), app.build)
