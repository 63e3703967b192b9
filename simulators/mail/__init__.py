"""A mail server for development: takes every message by SMTP, delivers none, and shows them over HTTP."""
