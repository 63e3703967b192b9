"""A stand-in for Africa's Talking: takes text messages over its HTTP shape, and shows them."""
