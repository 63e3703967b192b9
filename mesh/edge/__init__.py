"""From the contract model to Envoy's files: edge listener, mesh listener, clusters, routes and rules."""
