//! Signatures of `cosign sign --key`: by a key of its owner, in the registry, beside what is signed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::{
    Digest, OciError, Registry,
    manifest::{self, Descriptor},
    wire::Size,
};

/// The annotation of a signature.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The type of what is signed.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Signatures that are looked at.
const MAX_SIGNATURES: usize = 32;
/// The header of a P-256 key (RFC 5480): what differs between keys is the point behind it.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// A point without compression.
const POINT: usize = 65;

/// A public key of cosign: ECDSA on P-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignKey(Vec<u8>);

/// Why a package is not signed by a key of cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignError {
    /// No public key of this kind.
    #[error("it is no public key of cosign (ECDSA on P-256, in PEM)")]
    Key,
    /// The registry has no signatures of the package.
    #[error("there is no signature: the registry has no tag `{0}`")]
    Missing(String),
    /// None that there is was made with the key.
    #[error("none of its {0} signatures was made with this key")]
    OtherKey(usize),
    /// The key signed something else, which somebody put there.
    #[error("the signature of this key is one of `{0}`")]
    OtherPackage(String),
}

/// A signature, and what it signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signed {
    /// The signed document.
    payload: String,
    /// In base64.
    signature: String,
}

#[derive(Deserialize)]
struct Document {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

impl CosignKey {
    /// Reads `cosign.pub`.
    ///
    /// # Errors
    /// When it is another kind of key, or none.
    pub fn parse(pem: &str) -> Result<Self, CosignError> {
        let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----");
        let body = body.and_then(|body| body.strip_suffix("-----END PUBLIC KEY-----"));
        let base64: String = body
            .ok_or(CosignError::Key)?
            .chars()
            .filter(|character| !character.is_ascii_whitespace())
            .collect();
        let der = STANDARD.decode(base64).map_err(|_| CosignError::Key)?;
        let point = der.strip_prefix(&P256).ok_or(CosignError::Key)?;
        if point.len() != POINT || point.first() != Some(&4) {
            return Err(CosignError::Key);
        }
        Ok(Self(point.to_owned()))
    }

    /// Of its bytes, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        Digest::of(&self.0).hex()
    }

    fn made(&self, signed: &Signed) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0);
        let signature = STANDARD.decode(&signed.signature).ok();
        signature.is_some_and(|it| key.verify(signed.payload.as_bytes(), &it).is_ok())
    }

    /// The first of `all` that is of this key and of the manifest.
    fn find<'a>(&self, manifest: Digest, all: &'a [Signed]) -> Result<&'a Signed, CosignError> {
        let mut other = None;
        for signed in all.iter().filter(|signed| self.made(signed)) {
            let document: Option<Document> = serde_json::from_str(&signed.payload).ok();
            let of = document.map(|document| document.critical.image.docker_manifest_digest);
            if of.as_deref() == Some(&*manifest.to_string()) {
                return Ok(signed);
            }
            other = Some(manifest::shown(&of.unwrap_or_default()));
        }
        Err(other.map_or(CosignError::OtherKey(all.len()), CosignError::OtherPackage))
    }

    /// Whether a kept signature is one of this key and of the manifest.
    pub(super) fn signs(&self, manifest: Digest, kept: &[u8]) -> bool {
        let signed: Option<Signed> = serde_json::from_slice(kept).ok();
        signed.is_some_and(|signed| self.find(manifest, &[signed]).is_ok())
    }
}

impl Registry {
    /// Finds a signature of `key` for a manifest; gives it in the form that can be kept.
    ///
    /// # Errors
    /// When there is none, or the registry cannot be asked.
    pub async fn signature(&self, manifest: Digest, key: &CosignKey) -> Result<Vec<u8>, OciError> {
        let failed = |source| OciError::Cosign {
            reference: self.reference.to_string(),
            source,
        };
        let tag = format!("sha256-{}.sig", manifest.hex());
        let document = match self.manifest(&tag, None).await {
            Ok((document, _)) => document,
            Err(OciError::NotFound { .. }) => return Err(failed(CosignError::Missing(tag))),
            Err(error) => return Err(error),
        };
        let image = manifest::image(&document).map_err(|source| self.refuse(source))?;
        let mut all = Vec::new();
        let layers = image
            .layers
            .iter()
            .filter(|layer| layer.media_type == PAYLOAD);
        for layer in layers.take(MAX_SIGNATURES) {
            all.extend(self.signed(layer).await?);
        }
        let signed = key.find(manifest, &all).map_err(failed)?;
        Ok(serde_json::to_vec(signed).expect("texts are JSON"))
    }

    async fn signed(&self, layer: &Descriptor) -> Result<Option<Signed>, OciError> {
        let Some(signature) = layer.annotations.get(SIGNATURE) else {
            return Ok(None);
        };
        let digest = manifest::digest(layer).map_err(|source| self.refuse(source))?;
        let payload = self.blob("signature", &digest, Size::Small).await?;
        Ok(String::from_utf8(payload.into())
            .ok()
            .map(|payload| Signed {
                payload,
                signature: signature.clone(),
            }))
    }
}

#[cfg(test)]
mod tests {
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use serde_json::json;

    use super::*;

    fn pair() -> (EcdsaKeyPair, CosignKey) {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
        let der = STANDARD.encode([&P256, pair.public_key().as_ref()].concat());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
        (pair, CosignKey::parse(&pem).expect("a key of P-256"))
    }

    fn sign(pair: &EcdsaKeyPair, of: Digest) -> Signed {
        let image = json!({ "docker-manifest-digest": of.to_string() });
        let payload = json!({ "critical": { "image": image }, "optional": null }).to_string();
        let signature = pair
            .sign(&SystemRandom::new(), payload.as_bytes())
            .expect("signed");
        Signed {
            payload,
            signature: STANDARD.encode(signature),
        }
    }

    #[test]
    fn only_the_keys_own_signature_of_the_package_counts() {
        let ((mine, key), (theirs, _)) = (pair(), pair());
        let (this, that) = (Digest::of(b"this"), Digest::of(b"that"));
        let mut forged = sign(&mine, that);
        forged.payload = sign(&mine, this).payload;

        let good = [sign(&theirs, this), sign(&mine, that), sign(&mine, this)];
        assert_eq!(key.find(this, &good), Ok(&good[2]));
        let other_key = [sign(&theirs, this), forged];
        assert_eq!(key.find(this, &other_key), Err(CosignError::OtherKey(2)));
        let other_package = [sign(&mine, that)];
        let refused = CosignError::OtherPackage(that.to_string());
        assert_eq!(key.find(this, &other_package), Err(refused));
        assert_eq!(key.find(this, &[]), Err(CosignError::OtherKey(0)));
        let kept = serde_json::to_vec(&good[2]).expect("JSON");
        assert!(key.signs(this, &kept) && !key.signs(that, &kept) && !key.signs(this, b"{}"));
    }

    #[test]
    fn another_key_than_one_of_p256_is_refused() {
        let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----";
        let empty = "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----";
        for text in [
            ed25519,
            empty,
            "",
            "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        ] {
            assert_eq!(CosignKey::parse(text), Err(CosignError::Key), "{text}");
        }
    }
}
