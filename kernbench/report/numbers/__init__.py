"""What the report computes, before anything is drawn or written."""
