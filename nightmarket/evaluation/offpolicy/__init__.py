"""What would another policy have earned on the log of this one, and may it be trusted?"""
