"""Settings of the groups service."""

import pytest

from services.groups import config
from services.kit.config import ConfigurationError


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="HAZINA_LISTEN_ADDRESS"):
        config.load({})
