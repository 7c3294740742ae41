#!/usr/bin/env bash
# Installs the servers that the folder $1 lists (`requirements.txt`, and `package.json`, `pom.xml` and `debian.txt` if it has them) into
# the folder $2, once for each version of the list. Java sources beside a `pom.xml` are compiled against its libraries.
set -euo pipefail
list="$(cd "$1" && pwd)"
mkdir -p "$2"
folder="$(cd "$2" && pwd)"
wanted="$(cat "$0" "$list"/* | cksum)"
if [[ -f "$folder/installed" && "$(<"$folder/installed")" == "$wanted" ]]; then
    exit 0
fi
tools=(python3)
[[ ! -f "$list/package.json" ]] || tools+=(node npm)
[[ ! -f "$list/pom.xml" ]] || tools+=(mvn javac)
for tool in "${tools[@]}"; do
    command -v "$tool" >/dev/null || {
        echo "error: real servers are started, which need $tool (Python 3.10 or later, Node.js 18 or later, JDK 17 or later with Maven)" >&2
        exit 1
    }
done
echo "installing servers into $folder"
rm -rf "$folder/python" "$folder/node" "$folder/java" "$folder/debian" "$folder/installed"
python3 -m venv "$folder/python"
"$folder/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$list/requirements.txt"
if [[ -f "$list/package.json" ]]; then
    mkdir "$folder/node"
    cp "$list/package.json" "$list/package-lock.json" "$folder/node/"
    npm --prefix "$folder/node" ci --silent --no-audit --no-fund
fi
if [[ -f "$list/pom.xml" ]]; then
    mvn --quiet --batch-mode --file "$list/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies "-DoutputDirectory=$folder/java"
    javac -cp "$folder/java/*" -d "$folder/java" "$list"/*.java
fi
# Programs that are not there are unpacked, not installed: that needs no root.
for package in $(cat "$list/debian.txt" 2>/dev/null || true); do
    command -v "$package" >/dev/null && continue
    mkdir -p "$folder/debian"
    (cd "$folder/debian" && { apt-get download --quiet=2 "$package" || { apt-get update --quiet=2 && apt-get download --quiet=2 "$package"; }; } && dpkg-deb -x "$package"_*.deb .)
done
printf '%s\n' "$wanted" >"$folder/installed"
