"""scikit-learn's trees."""
