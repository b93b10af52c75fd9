#!/bin/sh
# Copies what has come into a folder since a marker was touched. added.sh MARKER TARGET FOLDER
set -eu
mkdir -p "$2"
cd /
find "${3#/}" -cnewer "$1" \( -type f -o -type l \) -exec cp --parents --no-dereference --preserve=mode -t "$2" {} +
