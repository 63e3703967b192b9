"""The RPCs of the auth service, one file per contract service. The wrapper has authorized; handlers parse, call, render."""
