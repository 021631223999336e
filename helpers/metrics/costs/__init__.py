"""What does keeping a customer cost, and what moved it?"""
