"""What do customers say, and does it show in what they do?"""
