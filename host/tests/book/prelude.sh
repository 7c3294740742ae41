# What the commands of a page take for granted; marks above its blocks name these functions. The ports are replaced as those of a
# page are.

# What a page leaves running ends with it, and at once: without its endpoint a host would wait. `jobs` forgets none that was started.
trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT
# One order of what is said.
exec 2>&1

# A module with a sink `shop/score`, and the endpoint that it calls.
module() {
    cat >module.yaml <<'END'
version: "1"
ingresses:
  - id: shop/orders
    datagen: { rate: 2000 }
    routers: [{ to: [shop/score] }]
sinks:
  - id: shop/score
    plugin: { path: plugins/score.wasm }
    endpoint: { url: "http://127.0.0.1:8080/" }
    batch: { max-records: 5, max-wait: 20ms }
    dead-letters: shop/failed
egresses:
  - id: shop/failed
    file: { path: failed.ndjson }
END
    nozzle endpoint --listen 127.0.0.1:8080 &
}

up() { until nozzle sinks; do sleep 0.2; done; }

# A host that runs it, and what may be put in place of its plugin.
host() {
    module
    cp "$REPOSITORY/guest-plugins/dist/per_record.wasm" score.wasm
    mkdir -p target/wasm32-wasip2/release
    cp "$REPOSITORY/guest-plugins/dist/bulk.wasm" target/wasm32-wasip2/release/score.wasm
    nozzle run module.yaml --admin 9464 &
    PID=$!
    up
}

# Dead letters of that sink: of 60 orders some are refused, and some fail until their attempts are over.
letters() {
    cat >module.yaml <<'END'
version: "1"
ingresses:
  - id: shop/orders
    file: { path: orders.ndjson }
    routers: [{ to: [shop/score] }]
sinks:
  - id: shop/score
    plugin: { path: plugins/per_record.wasm }
    endpoint: { url: "http://127.0.0.1:8080/" }
    batch: { max-wait: 20ms }
    retry: { initial-delay: 1ms, max-attempts: 2 }
    dead-letters: shop/failed
egresses:
  - id: shop/failed
    file: { path: failed.ndjson }
END
    for id in {1..60}; do echo "{\"id\":$id}"; done >orders.ndjson
    nozzle endpoint --listen 127.0.0.1:8080 --status 400=20 --status 500=60 &
    nozzle run module.yaml
}

# A plugin of an author, its cases, and records.
plugin() {
    cp "$REPOSITORY/guest-plugins/dist/template.wasm" my_plugin.wasm
    cp -r "$REPOSITORY/guest-plugins/rust/template/per-batch/cases" .
    printf '{"id":%d}\n' 1 2 3 >records.ndjson
}

# Cargo, without the network, and with what other tests have compiled; the code of the page goes into the project's tests.
cargo() {
    if [[ ! -e target ]]; then
        ln -s "$SHARED_TARGET" target
        mkdir -p tests
        cp ../code/*.rs tests/
    fi
    command "$CARGO" "$@"
}

# What a reader of the README has: the repository, built. The endpoint of the examples is where this one is.
repository() {
    mkdir -p target/debug
    ln -sf "$(command -v nozzle)" target/debug/nozzle
    ln -sfn "$REPOSITORY/guest-plugins" guest-plugins
    mkdir -p examples
    cp -r "$REPOSITORY/examples/weather" examples
    rm -rf examples/weather/out
    sed -i "s/127.0.0.1:80""80/127.0.0.1:8080/" examples/weather/*.yaml
}

# A module with a slip of the pen.
slip() {
    module
    sed -i "s/batch: {.*/retry: { max-atempts: 3 }/" module.yaml
}

# A module whose plugin imports what nobody grants.
ungranted() {
    module
    ln -sf "$REPOSITORY/guest-plugins/dist/lookup.wasm" plugins/score.wasm
}

# A case that expects something else than the plugin does.
failing() {
    cp "$REPOSITORY/guest-plugins/dist/bulk.wasm" my_plugin.wasm
    cat >cases/partial.yaml <<'END'
events: [{ data: "{}" }, { data: "{}" }, { data: "{}" }]
expect:
  requests:
    - method: post
      target: _bulk
      headers: { content-type: application/x-ndjson }
      body: "{\"index\":{\"_id\":\"0\"}}\n{}\n{\"index\":{\"_id\":\"1\"}}\n{}\n{\"index\":{\"_id\":\"2\"}}\n{}\n"
      events: [0, 1, 2]
      responses:
        - status: 200
          json: { items: [{ status: 201 }, { status: 429 }, { status: 400, error: no such field }] }
          verdict:
            each:
              - delivered
              - delivered
              - reject: no such field
END
}

# Waits until the plugin of the sink is of this generation.
generation() {
    until nozzle plugin list >listed && grep -qE "shop/score +$1 " listed; do sleep 0.2; done
}
