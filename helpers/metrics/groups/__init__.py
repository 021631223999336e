"""Groups of customers set side by side: which are shown, with the same mix, corrected for the number of tests."""
