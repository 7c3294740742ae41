//! Limits and outages of a server that nobody here wrote.

use std::path::Path;

use nozzle_testkit::{Server, free_port};

use super::{run, write_module};

/// nginx that writes down the status of each answer to a call, and lets `limit` of them through.
fn nginx(folder: &Path, port: u16, behind: u16, limit: &str) -> Server {
    let http = format!(
        "log_format status '$status'; access_log off;\n\
         limit_req_zone $binary_remote_addr zone=all:1m rate=100r/s; limit_req_status 429;\n\
         server {{\nlisten 127.0.0.1:{port};\nlocation = / {{ return 200; }}\n\
         location /calls {{ access_log {folder}/answers.log status; {limit} proxy_pass http://127.0.0.1:{behind}; }}\n}}\n\
         server {{ listen 127.0.0.1:{behind}; return 200; }}\n",
        folder = folder.display()
    );
    Server::nginx_of(folder, port, &http)
}

/// How many calls were answered with a status.
fn answered(folder: &Path, status: &str) -> usize {
    let log = std::fs::read_to_string(folder.join("answers.log")).unwrap_or_default();
    log.lines().filter(|line| *line == status).count()
}

#[test]
fn a_rate_below_that_of_nginx_is_never_throttled() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, behind) = (free_port(), free_port());
    let limit = "limit_req zone=all burst=20 nodelay;";
    let _nginx = nginx(folder.path(), port, behind, limit);
    let url = format!("http://127.0.0.1:{port}/calls");
    write_module(folder.path(), 100, &url, "rate: { calls-per-second: 80 }");

    let ended = run(folder.path()).finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    // Two sinks share it: each of them sends every record.
    let answers = ["200", "429"].map(|status| answered(folder.path(), status));
    assert_eq!(answers, [200, 0], "{}", ended.stderr);
}

#[test]
fn what_nginx_throttles_is_sent_again_until_all_is_delivered_with_the_defaults() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, behind) = (free_port(), free_port());
    let _nginx = nginx(
        folder.path(),
        port,
        behind,
        "limit_req zone=all burst=5 nodelay;",
    );
    let url = format!("http://127.0.0.1:{port}/calls");
    write_module(folder.path(), 150, &url, "");

    let ended = run(folder.path()).finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(answered(folder.path(), "200"), 300, "{}", ended.stderr);
    assert!(answered(folder.path(), "429") > 0, "{}", ended.stderr);
}

#[test]
fn nothing_is_lost_when_nginx_is_killed_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, behind) = (free_port(), free_port());
    let first = nginx(folder.path(), port, behind, "");
    let url = format!("http://127.0.0.1:{port}/calls");
    write_module(
        folder.path(),
        1_000,
        &url,
        "rate: { calls-per-second: 400 }",
    );

    let host = run(folder.path());
    drop(first);
    let log = host.wait_for("the endpoint is down");
    let _second = nginx(folder.path(), port, behind, "");
    let ended = host.finish();

    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(!log.contains("answers again"), "{log}");
    assert!(
        ended.stderr.contains("the endpoint answers again"),
        "{}",
        ended.stderr
    );
    let delivered = answered(folder.path(), "200");
    // What was under way when it was killed may have been answered without being heard.
    assert!(
        (2_000..2_100).contains(&delivered),
        "{delivered}: {}",
        ended.stderr
    );
    for sink in ["one", "other"] {
        let summary =
            format!("t/{sink}: 1,000 read = 1,000 delivered + 0 dropped + 0 dead-lettered");
        assert!(ended.stderr.contains(&summary), "{}", ended.stderr);
    }
}
