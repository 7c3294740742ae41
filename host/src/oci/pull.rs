//! From a registry: manifests and components, each checked against its digest.

use bytes::Bytes;
use http::header::CONTENT_TYPE;

use super::{
    Component, Digest, ManifestError, OciError, Registry,
    manifest::{self, Document},
    wire::Size,
};

/// What a reference stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The digest that pins it: of the manifest, or of the list of manifests that the reference names.
    pub manifest: Digest,
    /// Its component.
    pub component: Component,
    /// The manifests on the way to it, as they came.
    pub(super) documents: Vec<Bytes>,
}

/// A manifest, and the type that the registry gives it.
pub(super) type Fetched = (Bytes, Option<String>);

impl Registry {
    /// Finds out what the reference stands for.
    ///
    /// # Errors
    /// When there is no such package, or it is none of a component.
    pub async fn resolve(&self) -> Result<Resolved, OciError> {
        let name = self.reference.manifest();
        let (first, kind) = self.manifest(&name, self.reference.digest()).await?;
        let mut documents = vec![first.clone()];
        let found = match self.read(&first, kind.as_deref())? {
            Document::Component(component) => component,
            Document::Manifest(digest) => {
                let (second, kind) = self.manifest(&digest.to_string(), Some(digest)).await?;
                documents.push(second.clone());
                match self.read(&second, kind.as_deref())? {
                    Document::Component(component) => component,
                    Document::Manifest(_) => return Err(self.refuse(ManifestError::Nested)),
                }
            }
        };
        Ok(Resolved {
            manifest: Digest::of(&first),
            component: found,
            documents,
        })
    }

    /// The bytes of a component.
    ///
    /// # Errors
    /// When they do not come, or are others.
    pub async fn component(&self, component: &Component) -> Result<Bytes, OciError> {
        self.blob("component", &component.digest, Size::Large).await
    }

    pub(super) async fn blob(
        &self,
        what: &'static str,
        digest: &Digest,
        size: Size,
    ) -> Result<Bytes, OciError> {
        let url = self.url(&format!("blobs/{digest}"));
        let response = self.get(what, url, size).await?;
        if response.status != 200 {
            return Err(self.status(what, &response));
        }
        verified(what, response.body, Some(*digest))
    }

    /// A manifest by its tag or digest.
    pub(super) async fn manifest(
        &self,
        name: &str,
        pin: Option<Digest>,
    ) -> Result<Fetched, OciError> {
        let url = self.url(&format!("manifests/{name}"));
        let response = self.get("manifest", url, Size::Small).await?;
        if response.status != 200 {
            return Err(self.status("manifest", &response));
        }
        let kind = response.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| Some(kind.to_str().ok()?.to_owned()));
        Ok((verified("manifest", response.body, pin)?, kind))
    }

    fn read(&self, bytes: &[u8], kind: Option<&str>) -> Result<Document, OciError> {
        manifest::read(bytes, kind).map_err(|source| self.refuse(source))
    }

    pub(super) fn refuse(&self, source: ManifestError) -> OciError {
        OciError::Manifest {
            reference: self.reference.to_string(),
            source,
        }
    }
}

fn verified(what: &'static str, bytes: Bytes, pin: Option<Digest>) -> Result<Bytes, OciError> {
    let found = Digest::of(&bytes);
    match pin.filter(|pin| *pin != found) {
        Some(expected) => Err(OciError::Digest {
            what,
            found,
            expected,
        }),
        None => Ok(bytes),
    }
}
