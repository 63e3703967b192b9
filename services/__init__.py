"""The five services, and the kit in their walls. They meet only through contracts."""
