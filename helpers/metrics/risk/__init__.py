"""Whom should we try to keep?"""
