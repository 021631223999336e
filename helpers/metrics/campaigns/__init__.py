"""With what, and did it work?"""
