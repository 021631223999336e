"""What does a new customer cost, and when is that paid back?"""
