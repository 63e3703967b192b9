"""Settings of the wallet service."""

import pytest

from services.kit.config import ConfigurationError
from services.wallet import config


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="HAZINA_"):
        config.load({})
