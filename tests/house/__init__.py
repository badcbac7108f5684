"""The house rules as functions: each reads a `House` (text, nothing imported) and yields its breaches."""
