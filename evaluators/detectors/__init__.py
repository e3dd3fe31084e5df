"""Tables of what is personal and what is secret, shared by evaluators and the redactor."""
