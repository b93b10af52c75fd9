"""What is not a tree: conversion through skl2onnx, and our double-precision steps beside it."""
