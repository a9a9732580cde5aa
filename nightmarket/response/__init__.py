"""What will a customer respond to? P(response | customer, campaign, offer, time), calibrated."""
