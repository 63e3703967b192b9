"""The RPCs: parse, call one operation, render. The wrapper has authorized and validated before."""
