"""The page that stands beside the rendered files and tells how to read them."""

from __future__ import annotations

from mesh.contract.model import Access, Contract
from mesh.edge import access
from mesh.edge.limits import ADDRESS_BURST, ADDRESS_PER_SECOND, PER_ADDRESS, PER_PERSON
from mesh.edge.settings import EdgeSettings

# Why each link of the chain stands where it does.
_CHAIN = (
    ("cors", "answers preflights before anything can refuse them"),
    ("compressor", "gzip, but not on event streams nor beside tokens"),
    ("grpc_web", "from here on gRPC-Web is gRPC"),
    ("hazina_rate_limit_address", "a bucket for each address, before anything costs much"),
    ("body_size_limit", "by length and as it comes, without keeping it"),
    (
        "header_mutation",
        "drops `x-hazina-*` of the caller, folds the tenant into `x-hazina-tenant`",
    ),
    ("ext_authz", "only with `x-api-key`: auth exchanges the key for a token of two minutes"),
    ("grpc_json_transcoder", "JSON becomes gRPC: from here on the path is the RPC's name"),
    (
        "jwt_authn",
        "who is signed in; the filter itself is in `tokens.yaml`, so that keys can change",
    ),
    ("hazina_rate_limit_class", "a bucket for each class and person"),
    ("rbac", "which RPC is reachable, and which only when signed in; everything else is refused"),
    ("router", "deadlines, retries of what is safe, the service"),
)


def guide(contract: Contract, settings: EdgeSettings) -> str:
    """Markdown."""
    reachable = access.reachable(contract, settings)
    public = sum(rpc.rules.access is Access.PUBLIC for rpc in reachable)
    named = sum(bool(rpc.rules.callers) for rpc in contract.rpcs)
    chain = "\n".join(
        f"{number}. `{name}`: {why}." for number, (name, why) in enumerate(_CHAIN, start=1)
    )
    people = ", ".join(f"{rate.name} {count}" for rate, count in PER_PERSON.items())
    addresses = ", ".join(f"{rate.name} {count}" for rate, count in PER_ADDRESS.items())
    return f"""\
# Envoy, as rendered from the contracts

Written by `make gen`; do not edit. The local stack renders its own copy with its ports, keys and limits into `HAZINA_HOME`.

| File | Holds |
|---|---|
| `envoy.yaml` | what Envoy is started with: where the other files are, and when it protects itself |
| `listeners.yaml` | the edge ({settings.edge_port} plain, {settings.edge_tls_port} TLS), the mesh ({settings.mesh_port}, mTLS) and Envoy's own numbers ({settings.metrics_port}) |
| `routes_edge.yaml` | pages, event streams, and one route for each of the {len(reachable)} RPCs that the edge reaches ({public} without signing in) |
| `routes_mesh.yaml` | one route for each of the {named} RPCs that name callers, reflection and health |
| `clusters.yaml` | each service twice, because Envoy has two identities: `_edge` shows `spiffe://hazina/edge`, `_mesh` shows `spiffe://hazina/mesh` |
| `tokens.yaml` | how access tokens are verified; replaced by a rename when signing keys change |

Every file but the first is read again when another is renamed over it.

## The chain of the edge

{chain}

The mesh has two links: `rbac` matches the one SPIFFE URI of the caller's certificate against the `callers` of the RPC, and
`router` passes it on as `x-hazina-caller`. What callers write there themselves is overwritten.

## Limits

Each address: {ADDRESS_PER_SECOND} calls a second with a burst of {ADDRESS_BURST}. Each person a minute: {people}. Each address a
minute: {addresses}. The plain and the TLS listener count for themselves, and so does each Envoy.

## Starting it by hand

Envoy looks for everything beside it, from this folder:

- `certificates/edge.yaml`, `mesh.yaml`, `authorities.yaml`: SDS secrets; the stack makes them in `$HAZINA_HOME/certificates/envoy`
- `keys/jwks.json`: the public keys, from `$HAZINA_HOME/keys/jwks.json`

```bash
cd envoy
ln -s ../.hazina/certificates/envoy certificates && ln -s ../.hazina/keys keys
../.venv/bin/envoy -c envoy.yaml --concurrency 2 --log-level warn --component-log-level http:critical
```
"""
