"""What a stage is: its settings, its inputs, its processes."""
