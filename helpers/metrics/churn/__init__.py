"""How fast do we lose them, and when?"""
