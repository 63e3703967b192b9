"""`python -m services.comms`."""

import os

from services.kit import server

from services.comms import app, config

if __name__ == "__main__":
    server.run(config.load(os.environ), app.build)
