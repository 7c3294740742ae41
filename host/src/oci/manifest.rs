//! Manifests: which of a package's blobs is the component. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, MAX_COMPONENT};

/// The type of a manifest.
pub(super) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The type of a list of manifests.
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's name of such a list.
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What a registry may answer with.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// The type of a component's config.
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The type of the layer that is the component.
pub(super) const LAYER: &str = "application/wasm";
/// The largest manifest that a registry must take.
pub(super) const MAX_MANIFEST: usize = 4 * 1024 * 1024;
/// What the config says the component is for.
pub(super) const ARCHITECTURE: &str = "wasm";
/// WASI 0.2, where an image has its operating system.
pub(super) const OS: &str = "wasip2";
/// What of a foreign text is shown, in characters.
const SHOWN: usize = 120;

/// A blob or a manifest, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Platform {
    pub(super) architecture: String,
    pub(super) os: String,
}

/// A manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Image {
    pub(super) schema_version: u32,
    pub(super) media_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// What both have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Either {
    media_type: Option<String>,
}

/// Why a manifest is none of a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// No JSON, or JSON that is no manifest.
    #[error("its manifest cannot be read: {0}")]
    Unreadable(String),
    /// A manifest of a type that is not known.
    #[error("its manifest has the type `{0}`, which is none of an OCI image")]
    Type(String),
    /// A container image, or an artifact of another kind.
    #[error("it is no WebAssembly package: its config has the type `{0}`, not `{CONFIG}`")]
    NoWasm(String),
    /// More or fewer layers than one.
    #[error("it has {0} layers, and a component is exactly one")]
    Layers(usize),
    /// A layer of another type.
    #[error("its layer has the type `{0}`, not `{LAYER}`")]
    Layer(String),
    /// A digest of another algorithm, or none.
    #[error("its manifest names the digest `{0}`, which is no SHA-256 digest")]
    Digest(String),
    /// Larger than any component.
    #[error("its component has {0} bytes, more than the {MAX_COMPONENT} that are read")]
    TooLarge(u64),
    /// A list of manifests, without exactly one of a component.
    #[error(
        "it is a list of {all} manifests, {wasm} of them for WebAssembly: name one by its digest"
    )]
    Ambiguous {
        /// All of them.
        all: usize,
        /// Those for `wasm`.
        wasm: usize,
    },
    /// A list in a list.
    #[error("it is a list of manifests in a list of manifests")]
    Nested,
}

/// The component of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its digest: what `plugin.sha256` pins.
    pub digest: Digest,
    /// Its size in bytes, at most [`MAX_COMPONENT`].
    pub size: usize,
    /// What its publisher says of the package.
    pub annotations: BTreeMap<String, String>,
}

/// What a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Document {
    /// A component.
    Component(Component),
    /// Another manifest, which is of a component.
    Manifest(Digest),
}

/// Reads a manifest that came with a content type, or none.
pub(super) fn read(bytes: &[u8], content_type: Option<&str>) -> Result<Document, ManifestError> {
    let either: Either = json(bytes)?;
    // The document's own word comes first: a list must not be read as a manifest by another reader.
    let kind = either.media_type.as_deref().or(content_type);
    match kind.map(|kind| kind.split(';').next().unwrap_or_default().trim()) {
        Some(INDEX | DOCKER_LIST) => choose(json::<Index>(bytes)?).map(Document::Manifest),
        Some(IMAGE) | None => component(json(bytes)?).map(Document::Component),
        Some(other) => Err(ManifestError::Type(shown(other))),
    }
}

/// Reads a manifest, of whatever it is.
pub(super) fn image(bytes: &[u8]) -> Result<Image, ManifestError> {
    json(bytes)
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ManifestError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ManifestError::Unreadable(shown(&error.to_string())))
}

fn component(image: Image) -> Result<Component, ManifestError> {
    if image.config.media_type != CONFIG {
        return Err(ManifestError::NoWasm(shown(&image.config.media_type)));
    }
    let [layer] = &image.layers[..] else {
        return Err(ManifestError::Layers(image.layers.len()));
    };
    if layer.media_type != LAYER {
        return Err(ManifestError::Layer(shown(&layer.media_type)));
    }
    let size = usize::try_from(layer.size).ok();
    let size = size.filter(|size| *size <= MAX_COMPONENT);
    Ok(Component {
        digest: digest(layer)?,
        size: size.ok_or(ManifestError::TooLarge(layer.size))?,
        annotations: image.annotations,
    })
}

fn choose(index: Index) -> Result<Digest, ManifestError> {
    let is_wasm = |manifest: &&Descriptor| {
        let platform = manifest.platform.as_ref();
        manifest.artifact_type.as_deref() == Some(CONFIG)
            || platform.is_some_and(|platform| platform.architecture == ARCHITECTURE)
    };
    let wasm: Vec<&Descriptor> = index.manifests.iter().filter(is_wasm).collect();
    let is_wasip2 = |manifest: &&Descriptor| {
        let platform = manifest.platform.as_ref();
        platform.is_some_and(|platform| platform.os == OS)
    };
    let wasip2: Vec<&Descriptor> = wasm.iter().copied().filter(is_wasip2).collect();
    let one = match (&wasm[..], &wasip2[..]) {
        ([one], _) | (_, [one]) => one,
        _ => {
            return Err(ManifestError::Ambiguous {
                all: index.manifests.len(),
                wasm: wasm.len(),
            });
        }
    };
    if [INDEX, DOCKER_LIST].contains(&&*one.media_type) {
        return Err(ManifestError::Nested);
    }
    digest(one)
}

pub(super) fn digest(descriptor: &Descriptor) -> Result<Digest, ManifestError> {
    let digest = descriptor.digest.parse();
    digest.map_err(|_| ManifestError::Digest(shown(&descriptor.digest)))
}

/// A foreign text, so that it can be shown.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const WASM: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn package() -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": { "mediaType": CONFIG, "digest": WASM, "size": 2 },
            "layers": [{ "mediaType": LAYER, "digest": WASM, "size": 7 }],
            "annotations": { "org.opencontainers.image.version": "1.0" },
        })
    }

    fn of(document: &Value) -> Result<Document, ManifestError> {
        read(document.to_string().as_bytes(), None)
    }

    #[test]
    fn the_layer_of_a_package_is_its_component() {
        let package = package();

        let read = of(&package);

        let Ok(Document::Component(component)) = read else {
            panic!("{read:?}");
        };
        assert_eq!(
            (component.digest.to_string(), component.size),
            (WASM.to_owned(), 7)
        );
        assert_eq!(
            component.annotations["org.opencontainers.image.version"],
            "1.0"
        );
    }

    #[test]
    fn what_is_no_package_is_refused_by_its_name() {
        type Change = fn(&mut Value);
        let table: [(Change, ManifestError); 7] = [
            (
                |it| it["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json"),
                ManifestError::NoWasm("application/vnd.oci.image.config.v1+json".to_owned()),
            ),
            (|it| it["layers"] = json!([]), ManifestError::Layers(0)),
            (
                |it| it["layers"] = json!([it["layers"][0], it["layers"][0]]),
                ManifestError::Layers(2),
            ),
            (
                |it| it["layers"][0]["mediaType"] = json!("application/gzip"),
                ManifestError::Layer("application/gzip".to_owned()),
            ),
            (
                |it| it["layers"][0]["digest"] = json!("sha512:12\n\u{1b}"),
                ManifestError::Digest("sha512:12  ".to_owned()),
            ),
            (
                |it| it["layers"][0]["size"] = json!(1_u64 << 62),
                ManifestError::TooLarge(1 << 62),
            ),
            (
                |it| it["mediaType"] = json!("application/x"),
                ManifestError::Type("application/x".to_owned()),
            ),
        ];
        for (change, expected) in table {
            let mut package = package();
            change(&mut package);

            let refused = of(&package);

            assert_eq!(refused, Err(expected));
        }
        for text in [&b"<html>"[..], b"[]", b"{}", b"\xff", b""] {
            let refused = read(text, Some(IMAGE));

            assert!(
                matches!(refused, Err(ManifestError::Unreadable(_))),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn the_one_manifest_for_webassembly_is_taken_from_a_list() {
        let entry = |architecture: &str, os: &str| {
            let platform = json!({ "architecture": architecture, "os": os });
            json!({ "mediaType": IMAGE, "digest": WASM, "size": 7, "platform": platform })
        };
        let [linux, component, module] = [
            entry("amd64", "linux"),
            entry("wasm", "wasip2"),
            entry("wasm", "wasip1"),
        ];
        let artifact =
            json!({ "mediaType": IMAGE, "digest": WASM, "size": 7, "artifactType": CONFIG });
        let nested =
            json!({ "mediaType": INDEX, "digest": WASM, "size": 7, "artifactType": CONFIG });
        let found = Ok(Document::Manifest(WASM.parse().expect("a digest")));
        let ambiguous = |all, wasm| Err(ManifestError::Ambiguous { all, wasm });
        for (manifests, expected) in [
            (json!([linux, component]), found.clone()),
            (json!([linux, component, module]), found.clone()),
            (json!([artifact]), found),
            (json!([]), ambiguous(0, 0)),
            (json!([linux]), ambiguous(1, 0)),
            (json!([component, component]), ambiguous(2, 2)),
            (json!([nested]), Err(ManifestError::Nested)),
        ] {
            let list = json!({ "schemaVersion": 2, "manifests": manifests });

            let read = read(
                list.to_string().as_bytes(),
                Some("application/vnd.oci.image.index.v1+json; x=y"),
            );

            assert_eq!(read, expected, "{manifests}");
        }
    }
}
