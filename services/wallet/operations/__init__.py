"""What the service does, one file per noun: posting, accounts, wallets, streams of changes, telling others."""
