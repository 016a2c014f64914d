"""SMPP 3.4 without a socket: PDUs in columns, a session as a state machine, receipts."""
