"""Workers on a bad day: killed, cut off, lied to; afterwards every message is accounted for.

    python -m benchmarks.chaos [--mails 3600] [--texts 700] [--pushes 700] [--kills 200] [--seed 1] …

Nothing in here is imported by the product.
"""
