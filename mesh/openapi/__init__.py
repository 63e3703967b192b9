"""From the contract model to an OpenAPI 3.1 document that says what our Envoy really does."""
