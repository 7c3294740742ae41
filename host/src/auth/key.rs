//! Keys of RFC 9421: from a secret's text to what signs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PSS_SHA512, RsaKeyPair,
    },
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

use super::{AuthError, settings::SignatureAlgorithm};

pub(super) enum Key {
    Hmac(hmac::Key),
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair, SystemRandom),
    Rsa(RsaKeyPair, SystemRandom),
}

impl Key {
    /// PEM (PKCS#8, SEC 1 or PKCS#1), or base64 for a shared secret.
    pub(super) fn parse(algorithm: SignatureAlgorithm, text: &str) -> Result<Self, AuthError> {
        let refused = |reason: &str| AuthError::value("key", reason);
        if algorithm == SignatureAlgorithm::HmacSha256 {
            let bytes = STANDARD.decode(text.trim()).ok();
            let bytes = bytes.filter(|bytes| !bytes.is_empty());
            let bytes = bytes.ok_or_else(|| refused("is no base64, which `hmac-sha256` needs"))?;
            return Ok(Self::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &bytes)));
        }
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| refused("has no private key in PEM (`-----BEGIN PRIVATE KEY-----`)"))?;
        let random = SystemRandom::new();
        let key = match (algorithm, &der) {
            (SignatureAlgorithm::Ed25519, PrivateKeyDer::Pkcs8(pkcs8)) => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.secret_pkcs8_der())
                    .ok()
                    .map(Self::Ed25519)
            }
            (SignatureAlgorithm::EcdsaP256Sha256, PrivateKeyDer::Pkcs8(pkcs8)) => {
                inner(pkcs8.secret_pkcs8_der()).and_then(|sec1| ecdsa(sec1, random))
            }
            (SignatureAlgorithm::EcdsaP256Sha256, PrivateKeyDer::Sec1(sec1)) => {
                ecdsa(sec1.secret_sec1_der(), random)
            }
            (SignatureAlgorithm::RsaPssSha512, PrivateKeyDer::Pkcs8(pkcs8)) => {
                // ring refuses the algorithm «RSASSA-PSS» in PKCS#8, and takes what it holds.
                inner(pkcs8.secret_pkcs8_der()).and_then(|pkcs1| rsa(pkcs1, random))
            }
            (SignatureAlgorithm::RsaPssSha512, PrivateKeyDer::Pkcs1(pkcs1)) => {
                rsa(pkcs1.secret_pkcs1_der(), random)
            }
            _ => None,
        };
        key.ok_or_else(|| {
            refused(match algorithm {
                SignatureAlgorithm::RsaPssSha512 => {
                    "is no RSA key of 2048 to 4096 bits, which `rsa-pss-sha512` needs"
                }
                SignatureAlgorithm::EcdsaP256Sha256 => {
                    "is no key on P-256 with its public part, which `ecdsa-p256-sha256` needs"
                }
                _ => "is no Ed25519 key",
            })
        })
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AuthError> {
        let failed = |_| AuthError::Request("the machine has no random numbers".to_owned());
        match self {
            Self::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Self::Ecdsa(key, random) => {
                let signature = key.sign(random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Rsa(key, random) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PSS_SHA512, random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

fn rsa(pkcs1: &[u8], random: SystemRandom) -> Option<Key> {
    let key = RsaKeyPair::from_der(pkcs1).ok()?;
    Some(Key::Rsa(key, random))
}

/// A key of SEC 1 (RFC 5915): a version, the private key, the curve, and the public key.
fn ecdsa(sec1: &[u8], random: SystemRandom) -> Option<Key> {
    let (SEQUENCE, mut fields, _) = element(sec1)? else {
        return None;
    };
    let (mut private, mut public) = (None, None);
    while let Some((tag, content, rest)) = element(fields) {
        match tag {
            OCTETS => private = Some(content),
            // [1] around a bit string, whose first byte counts unused bits.
            0xa1 => public = element(content).and_then(|(_, bits, _)| bits.get(1..)),
            _ => {}
        }
        fields = rest;
    }
    let key = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        private?,
        public?,
        &random,
    );
    Some(Key::Ecdsa(key.ok()?, random))
}

const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;

/// The key that PKCS#8 wraps (RFC 5958, section 2): behind the version and the algorithm.
fn inner(pkcs8: &[u8]) -> Option<&[u8]> {
    let (_, fields, _) = element(pkcs8)?;
    let (_, _version, fields) = element(fields)?;
    let (_, _algorithm, fields) = element(fields)?;
    let (tag, key, _) = element(fields)?;
    (tag == OCTETS).then_some(key)
}

/// The first element of a DER text: its tag, its content, and what is behind it (X.690, section 8.1).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let len = bytes
                .iter()
                .fold(0, |len, byte| len << 8 | usize::from(*byte));
            (len, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}
