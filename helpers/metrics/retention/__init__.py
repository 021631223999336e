"""Do customers come back?"""
