"""Ways to carry what a policy has learned to other dynamics; one method, one file."""
