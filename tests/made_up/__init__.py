"""What tests and benches of pages, copy and off-policy estimates are made of. Figures are invented, shapes are real."""
