"""From the file to a loaded model: is it safe, does it load, do the versions fit."""
