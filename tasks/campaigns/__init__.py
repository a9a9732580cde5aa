"""What campaigns and launches are made of: people, offers, contacts, texts, exports."""
