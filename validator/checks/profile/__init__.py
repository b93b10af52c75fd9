"""What the model's data looks like: the profile that ships, and how it differs from the champion's."""
