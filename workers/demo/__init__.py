"""What `assay demo` runs on: parts that need nothing but Python."""
