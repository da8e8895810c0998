"""The half of a locked model that has the key: encrypt, ask, bring the answer back."""
