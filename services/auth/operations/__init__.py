"""What the auth service does: one function per write or composed read. Each opens its own units of work.

A refusal that must leave a trace (a counted try, an ended session) is raised after its unit has committed.
"""
