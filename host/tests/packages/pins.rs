//! What comes from a registry is pinned, and what is pinned and kept needs no registry.

use nozzle::oci::Digest;
use nozzle_testkit::{RegistryAuth, Server};

use super::{
    address, component, forgetful, host, kept_by_registry, package, push, said, settings, stable,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_alone_is_refused_with_the_digests_to_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let tag = format!("oci://{}/acme/score:1.0", address(server.url()));
    let pushed = push(&tag, &package(&component())).await;

    let refused = forgetful()
        .bytes(&settings(&tag))
        .await
        .expect_err("not pinned");

    let names = [
        (address(server.url()), "REGISTRY"),
        (&*pushed.manifest.to_string(), "sha256:MANIFEST"),
        (&*pushed.component.hex(), "COMPONENT"),
    ];
    insta::assert_snapshot!(stable(&said(&refused), &names));
    let hint = refused.hint().expect("a hint");
    let pinned = hint
        .split('`')
        .find(|part| part.starts_with("path: "))
        .expect("the path");
    let pinned = pinned.trim_start_matches("path: ");
    let bytes = forgetful()
        .bytes(&settings(pinned))
        .await
        .expect("it is pinned");
    assert_eq!(bytes, component());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moved_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let tag = format!("oci://{}/acme/score:1.0", address(server.url()));
    let pushed = push(&tag, &package(&component())).await;
    let other = std::fs::read(nozzle_testkit::plugin("per_record.wasm")).expect("readable");
    push(&tag, &package(&other.into())).await;

    let mut by_component = settings(&tag);
    by_component.sha256 = Some(*pushed.component.bytes());
    let refused = forgetful()
        .bytes(&by_component)
        .await
        .expect_err("it moved");
    let by_manifest = settings(&format!("{tag}@{}", pushed.manifest));
    let old = forgetful()
        .bytes(&by_manifest)
        .await
        .expect("it is still there");

    assert!(
        matches!(refused, nozzle::plugin::SourceError::Pin { .. }),
        "{refused:?}"
    );
    assert_eq!(old, component());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pinned_and_kept_needs_no_registry() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let tag = format!("oci://{}/acme/score:1.0", address(server.url()));
    let pushed = push(&tag, &package(&component())).await;
    let by_manifest = settings(&format!("{tag}@{}", pushed.manifest));
    let mut by_component = settings(&tag);
    by_component.sha256 = Some(*pushed.component.bytes());
    let mut by_both = by_manifest.clone();
    by_both.sha256 = by_component.sha256;
    let mut wrong = by_manifest.clone();
    wrong.sha256 = Some(*Digest::of(b"other").bytes());
    host(folder.path())
        .bytes(&by_manifest)
        .await
        .expect("pulled");
    drop(server);

    for settings in [&by_manifest, &by_component, &by_both] {
        let kept = host(folder.path()).bytes(settings).await.expect("kept");

        assert_eq!(kept, component());
    }
    for refused in [&wrong, &settings(&tag)] {
        host(folder.path())
            .bytes(refused)
            .await
            .expect_err("it needs the registry");
    }
    forgetful()
        .bytes(&by_component)
        .await
        .expect_err("nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_and_damaged_is_pulled_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let tag = format!("oci://{}/acme/score:1.0", address(server.url()));
    let pushed = push(&tag, &package(&component())).await;
    let pinned = settings(&format!("{tag}@{}", pushed.manifest));
    host(folder.path()).bytes(&pinned).await.expect("pulled");
    let kept = folder.path().join("packages").join(pushed.component.hex());
    std::fs::write(&kept, b"\0asm evil").expect("written");

    let again = host(folder.path())
        .bytes(&pinned)
        .await
        .expect("pulled again");

    assert_eq!(again, component());
    assert_eq!(std::fs::read(&kept).expect("kept again"), component());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_in_the_registry_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::registry(folder.path(), RegistryAuth::Open);
    let tag = format!("oci://{}/acme/score:1.0", address(server.url()));
    let pushed = push(&tag, &package(&component())).await;
    let pinned = settings(&format!("{tag}@{}", pushed.manifest));
    let blob = kept_by_registry(folder.path(), pushed.component);
    let mut changed = component().to_vec();
    changed.reverse();
    let cut = component().slice(..component().len() / 2);

    for bytes in [&changed[..], &cut[..]] {
        std::fs::write(&blob, bytes).expect("written");
        let refused = host(folder.path())
            .bytes(&pinned)
            .await
            .expect_err("changed");

        let words = said(&refused);
        assert!(
            words.contains(&format!("and not {}", pushed.component)),
            "{words}"
        );
        assert!(!folder.path().join("packages").exists(), "nothing is kept");
    }
}
