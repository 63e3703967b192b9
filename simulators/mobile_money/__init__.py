"""A development peer shaped like Safaricom's Daraja (M-Pesa), with faults to switch on. Its README says how."""
