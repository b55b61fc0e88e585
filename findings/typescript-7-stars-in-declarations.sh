#!/usr/bin/env bash
# TypeScript 7 writes declarations that no compiler reads, from a type that a comment breaks in two.
#
# Versions   typescript 7.0.2 beside 5.9.3, Node.js 20 or newer.
# One would guess that a @typedef whose union goes over two lines of a JSDoc comment is declared as
#            the union, as it always was: the star that begins a line is no part of the type.
# Seen       7.0.2 checks the file with the right type and copies the text of the comment into the
#            declaration, with its star: `'pulled' | 'pushed' | *   'merged'`. It exits with 0. Whoever
#            installs the package gets a syntax error, from the same compiler. 5.9.3 writes the union.
# What it means for sources with types in comments: packed packages have to be compiled against once
#            by somebody else; the compiler's own word is not enough.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >kinds.js <<'JS'
/**
 * @typedef {'pulled' | 'pushed' |
 *   'merged'} Kind
 */

/** @type {Kind} */
export const kind = 'merged';
JS
echo 'import { kind, type Kind } from "./kinds.js"; export const other: Kind = kind;' >app.ts

declare_with() { # a version: declare kinds.js, and compile app.ts against that
  mkdir "$1"
  cp app.ts "$1"
  npm install --silent --no-audit --no-fund --prefix "tools-$1" "typescript@$1"
  local tsc="tools-$1/node_modules/.bin/tsc"
  "$tsc" --allowJs --checkJs --strict --declaration --emitDeclarationOnly --module nodenext \
    --outDir "$1" kinds.js
  grep 'type Kind' "$1/kinds.d.ts"
  "$tsc" --strict --noEmit --module nodenext "$1/app.ts"
}

echo "5.9.3:"
declare_with 5.9.3
echo "7.0.2:"
if declare_with 7.0.2 >seen; then
  cat seen
  echo "it reads what it wrote"
  exit 1
fi
cat seen
grep --quiet "'pushed' | \*   'merged'" seen
grep --quiet 'kinds.d.ts.* error TS1' seen
