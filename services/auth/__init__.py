"""Who people are: accounts, sessions, tokens, keys, tenants and their members."""
