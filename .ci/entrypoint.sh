#!/bin/sh
# Starts the registry, or any other program of the image, as the entrypoint of registry:2 does: `sh -c …` runs a shell.
# A word that is both a command of the registry and a program, such as `ls`, is the registry's.
case ${1-} in
    '' | -* | help | serve | *.yml | *.yaml) exec registry "$@" ;;
esac
if registry "$1" --help >/dev/null 2>&1 || ! command -v "$1" >/dev/null; then
    exec registry "$@"
fi
exec "$@"
