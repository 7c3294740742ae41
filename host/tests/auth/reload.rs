//! Secrets that change while the host runs.

use nozzle::auth::{AuthSettings, Piece, Secret};
use nozzle_testkit::fault_endpoint::answer;

use super::{client, replies, send, sent};

#[tokio::test]
async fn a_refused_attempt_is_made_again_with_a_secret_that_has_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").expect("written");
    let server = replies([
        answer(200, &[]),
        answer(401, &[]),
        answer(403, &[]),
        answer(200, &[]),
    ])
    .await;
    let url = server.url();
    let token = Secret::new("first", vec![Piece::File(file.clone())]);
    let client = client(&url, AuthSettings::Bearer { token });

    let good = send(&client, &url).await.expect("a response");
    let refused = send(&client, &url).await.expect("a response");
    std::fs::write(&file, "second\n").expect("written");
    let changed = send(&client, &url).await.expect("a response");

    assert_eq!(
        (good.status, refused.status, changed.status),
        (200, 401, 200)
    );
    assert_eq!(
        sent(&server, "authorization"),
        [
            "Bearer first",
            "Bearer first",
            "Bearer first",
            "Bearer second"
        ]
    );
}

#[tokio::test]
async fn a_file_that_is_broken_meanwhile_leaves_the_secret_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "first").expect("written");
    let server = replies([answer(401, &[])]).await;
    let url = server.url();
    let token = Secret::new("first", vec![Piece::File(file.clone())]);
    let client = client(&url, AuthSettings::Bearer { token });

    std::fs::write(&file, "two words\n").expect("written");
    let broken = send(&client, &url).await.expect("a response");
    std::fs::remove_file(&file).expect("removed");
    let missing = send(&client, &url).await.expect("a response");

    assert_eq!((broken.status, missing.status), (401, 401));
    assert_eq!(sent(&server, "authorization"), ["Bearer first"; 2]);
}
