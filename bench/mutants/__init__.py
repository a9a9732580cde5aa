"""Small faults put into what every figure rests on: at least nine in ten must make a test fail."""
