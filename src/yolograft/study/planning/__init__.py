"""What a study is to be, checked and written down before its first step; and how it is read back."""
