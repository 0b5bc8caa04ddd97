"""angzarr"""
