"""All SQL of the auth service, one file per noun."""
