"""What every service has in its walls. Import the modules; this package stays empty, so that the pure shelf is light."""
