"""Typed calls to other services, and the links of invitations."""
