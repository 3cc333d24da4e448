"""Methods of transfer, one file each: how a policy is taught, adapted or copied."""
