"""The jobs of workers: one module each, with a class `Job` whose public methods are its operations.

An operation takes the arrays of the request and its keyword arguments, and gives a JSON-able result and arrays.
"""
