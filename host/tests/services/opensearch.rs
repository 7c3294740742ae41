//! The plugin `elasticsearch` and OpenSearch.

use nozzle_testkit::Server;
use serde_json::{Value, json};

use super::{Work, lines, rejected, sorted, weather};

/// All documents.
fn documents(server: &Server, index: &str) -> Vec<Value> {
    server.ask(&format!("/{index}/_refresh"), Some(""));
    let answer = server.ask(&format!("/{index}/_search?size=10000"), None);
    let answer = lines(&answer).remove(0);
    let hits = answer["hits"]["hits"].as_array().expect("hits").clone();
    hits.into_iter().map(|hit| hit["_source"].clone()).collect()
}

#[test]
fn opensearch_has_every_record_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::opensearch(folder.path(), 1000);
    let work = Work::new();

    let letters = work.example("elasticsearch", &[("http://127.0.0.1:9200", server.url())]);

    assert_eq!(letters, Vec::<Value>::new());
    assert_eq!(sorted(documents(&server, "weather")), weather());

    // What does not fit the mapping, and what is there already.
    let bad = work.write_mixed(400);
    let config = json!({ "index": "mixed", "create": true });
    for _ in 0..2 {
        let (letters, _) = work.send("elasticsearch", &config, server.url(), "");

        assert_eq!(rejected(&letters, "item status 400: failed to parse"), bad);
        assert_eq!(documents(&server, "mixed").len(), 400 - bad.len());
    }

    // A data stream, whose documents have ids and a time.
    let template = json!({ "index_patterns": ["logs-*"], "data_stream": {} }).to_string();
    server.ask("/_index_template/logs", Some(&template));
    let config = json!({ "data-stream": "logs-test" });
    for _ in 0..2 {
        let (letters, _) = work.send("elasticsearch", &config, server.url(), "");

        assert_eq!(rejected(&letters, "item status 400: failed to parse"), bad);
        let documents = documents(&server, "logs-test");
        assert_eq!(documents.len(), 400 - bad.len());
        assert!(
            documents.iter().all(|one| one["@timestamp"].is_u64()),
            "{documents:?}"
        );
    }
}

#[test]
fn opensearch_whose_queue_is_full_has_every_record_in_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::opensearch(folder.path(), 1);
    let work = Work::new();
    let bad = work.write_mixed(3000);
    let config = json!({ "index": "mixed", "create": true });

    // Fifty calls at a time, of which the server takes two.
    let sink = "    retry: { forever: true, max-delay: 1s }\n";
    let (letters, summary) = work.send("elasticsearch", &config, server.url(), sink);

    assert_eq!(rejected(&letters, "item status 400: failed to parse"), bad);
    assert_eq!(documents(&server, "mixed").len(), 3000 - bad.len());
    assert!(summary["retried"].as_u64() > Some(0), "{summary}");
}
