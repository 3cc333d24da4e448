"""Transfer methods: what a policy that has learned is turned into."""
