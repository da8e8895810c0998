"""A locked model as a package, and what answers for it. Never a key, a plan or a plain image."""
