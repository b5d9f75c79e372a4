"""Lines on disk: recipes, cache, published and recorded lines, in and out."""
