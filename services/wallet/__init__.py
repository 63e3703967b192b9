"""The wallet service: one double-entry ledger, and the wallets that people see of it."""
