"""What the desk keeps: accounts, the key that it signs approvals with, and a record that shows when it was changed."""
