"""Made-up shops, true texts about their offers, and the same texts with one fault, to try the guard on."""
