"""Who is signed in: the token filter, which lives in a file of its own so that keys change while Envoy runs."""

from __future__ import annotations

from mesh.edge.parts import JWT_FILTER, JWT_METADATA, Json, file_source, typed
from mesh.edge.settings import EdgeSettings

ISSUER = "hazina"
AUDIENCE = "hazina"
TOKEN_SECONDS_MAX = 900
CLOCK_SKEW_SECONDS = 5
SIGNED_IN = "signed_in"
FILE = "tokens.yaml"

_KIND = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"


def by_discovery(settings: EdgeSettings) -> Json:
    """The place in the chain; what stands there comes from the file."""
    return {
        "name": JWT_FILTER,
        "config_discovery": {
            "config_source": file_source(settings.file(FILE), settings.configuration_directory),
            "type_urls": [f"type.googleapis.com/{_KIND}"],
        },
    }


def resource(settings: EdgeSettings) -> Json:
    """The filter itself, with the public keys inside: a file that they are only named in is never read again."""
    keys: Json = {"filename": "keys/jwks.json"}
    if settings.jwks is not None:
        keys = {"inline_string": settings.jwks}
    return typed(
        "envoy.config.core.v3.TypedExtensionConfig",
        name=JWT_FILTER,
        typed_config=typed(
            _KIND,
            providers={
                "hazina": {
                    "issuer": ISSUER,
                    "audiences": [AUDIENCE],
                    "local_jwks": keys,
                    "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
                    # The service verifies it again.
                    "forward": True,
                    "payload_in_metadata": JWT_METADATA,
                    "require_expiration": True,
                    "max_lifetime": f"{TOKEN_SECONDS_MAX}s",
                    "clock_skew_seconds": CLOCK_SKEW_SECONDS,
                    "jwt_cache_config": {"jwt_cache_size": 1000},
                }
            },
            # Routes choose by name; a route that chooses nothing is judged by the access rules alone.
            requirement_map={SIGNED_IN: {"provider_name": "hazina"}},
        ),
    )
