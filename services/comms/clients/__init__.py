"""Providers outside: mail, text messages, and in development what their receivers got."""
