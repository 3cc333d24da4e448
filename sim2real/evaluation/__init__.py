"""How a policy does on dynamics it never trained on: zero-shot, few-shot, statistics, video, report."""
