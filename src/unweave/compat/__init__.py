"""The names, argument orders and defaults of other packages, over our own functions."""
