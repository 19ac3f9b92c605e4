#!/bin/sh
# Chromium 103 (June 2022), the oldest near the stated 100 that a package has whole: into FOLDER, for `make page OLD=1`.
set -eu
folder=$1
[ -x "$folder/chromium" ] && exit 0
mkdir -p "$folder"
cd "$folder"
npm pack --silent @sparticuz/chromium@103.0.0 >/dev/null
echo "88f1af268022584ffd0e4b58a68c8bd63b55f247b7c84481c719f362fb2be43a  sparticuz-chromium-103.0.0.tgz" | sha256sum --check --quiet
tar xzf sparticuz-chromium-103.0.0.tgz
node -e '
const fs = require("fs"), zlib = require("zlib");
for (const name of ["chromium", "swiftshader.tar"])
  fs.writeFileSync(name, zlib.brotliDecompressSync(fs.readFileSync(`package/bin/${name}.br`)));
'
tar xf swiftshader.tar
rm -r package sparticuz-chromium-103.0.0.tgz swiftshader.tar
chmod +x chromium
