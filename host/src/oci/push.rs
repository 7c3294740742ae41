//! To a registry: a component, its config and its manifest, in this order.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Method, header::CONTENT_TYPE};
use serde::Serialize;

use super::{
    Digest, OciError, Registry,
    manifest::{ARCHITECTURE, CONFIG, Descriptor, IMAGE, Image, LAYER, OS},
    wire::{Size, client, request, within},
};
use crate::{http::Transport, outcome::Response};

/// A component, ready to be pushed.
#[derive(Debug, Clone)]
pub struct Package {
    /// The component.
    pub bytes: Bytes,
    /// The names that it imports.
    pub imports: Vec<String>,
    /// The names that it exports.
    pub exports: Vec<String>,
    /// When it was made, as RFC 3339 writes it.
    pub created: String,
    /// What is said of it, by names that other tools know.
    pub annotations: BTreeMap<String, String>,
}

/// What a registry now has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The manifest's digest.
    pub manifest: Digest,
    /// The component's digest.
    pub component: Digest,
}

/// The config, as `wkg` writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    author: Option<&'a str>,
    architecture: &'a str,
    os: &'a str,
    layer_digests: [String; 1],
    component: Names<'a>,
}

#[derive(Serialize)]
struct Names<'a> {
    exports: &'a [String],
    imports: &'a [String],
    target: Option<&'a str>,
}

impl Registry {
    /// Pushes a component under the tag of the reference. The manifest comes last: what stands before it in the registry is
    /// seen by nobody.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn push(&self, package: &Package) -> Result<Pushed, OciError> {
        let component = Digest::of(&package.bytes);
        let config = serde_json::to_vec(&Config {
            created: &package.created,
            author: None,
            architecture: ARCHITECTURE,
            os: OS,
            layer_digests: [component.to_string()],
            component: Names {
                exports: &package.exports,
                imports: &package.imports,
                target: None,
            },
        });
        let config = Bytes::from(config.expect("names are JSON"));
        let manifest = serde_json::to_vec(&Image {
            schema_version: 2,
            media_type: Some(IMAGE.to_owned()),
            config: descriptor(CONFIG, &config),
            layers: vec![descriptor(LAYER, &package.bytes)],
            annotations: package.annotations.clone(),
        });
        let manifest = Bytes::from(manifest.expect("descriptors are JSON"));

        self.upload(package.bytes.clone()).await?;
        self.upload(config).await?;
        let digest = Digest::of(&manifest);
        self.put_manifest(manifest).await?;
        Ok(Pushed {
            manifest: digest,
            component,
        })
    }

    async fn upload(&self, bytes: Bytes) -> Result<(), OciError> {
        let digest = Digest::of(&bytes);
        let url = self.url(&format!("blobs/{digest}"));
        let there = self
            .send("blob", request(Method::HEAD, &url, None), Size::Small)
            .await?;
        if there.status == 200 {
            return Ok(());
        }
        let start = self.url("blobs/uploads/");
        let begun = request(Method::POST, &start, Some(Bytes::new()));
        let begun = self.send("upload", begun, Size::Small).await?;
        if begun.status != 202 {
            return Err(self.status("upload", &begun));
        }
        let mut to = self.redirected("upload", &start, &begun.headers)?;
        to.query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let mut put = request(Method::PUT, &to, Some(bytes));
        let kind = HeaderValue::from_static("application/octet-stream");
        put.headers.insert(CONTENT_TYPE, kind);
        let done = if self.is_own(&to) {
            self.send("upload", put, Size::Large).await?
        } else {
            self.may_ask("upload", &to)?;
            let client = client(&to, &self.settings, Size::Large)?;
            within(&self.name(), "upload", client.send(put), Size::Large).await?
        };
        self.created("upload", &done)
    }

    async fn put_manifest(&self, manifest: Bytes) -> Result<(), OciError> {
        let url = self.url(&format!("manifests/{}", self.reference.manifest()));
        let mut put = request(Method::PUT, &url, Some(manifest));
        put.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(IMAGE));
        let done = self.send("manifest", put, Size::Small).await?;
        self.created("manifest", &done)
    }

    fn created(&self, what: &'static str, response: &Response) -> Result<(), OciError> {
        match response.status {
            200..=299 => Ok(()),
            _ => Err(self.status(what, response)),
        }
    }
}

fn descriptor(kind: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: kind.to_owned(),
        digest: Digest::of(bytes).to_string(),
        size: bytes.len() as u64,
        annotations: BTreeMap::new(),
        artifact_type: None,
        platform: None,
    }
}
