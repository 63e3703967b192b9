"""What compiles and runs the mesh: contract compiler, OpenAPI, Envoy rendering, local stack and command line."""
