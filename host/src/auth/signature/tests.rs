//! RFC 9421, appendix B.2, with its keys.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, Uri};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use super::*;
use crate::auth::{Secret, encode::from_base64};

const SHARED: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
const RSA: &str = include_str!("../../../tests/vectors/rfc9421/test-key-rsa-pss.key");
const RSA_PUBLIC: &str = include_str!("../../../tests/vectors/rfc9421/test-key-rsa-pss.pem");
const ECDSA: &str = include_str!("../../../tests/vectors/rfc9421/test-key-ecc-p256.key");
const ECDSA_PUBLIC: &str = include_str!("../../../tests/vectors/rfc9421/test-key-ecc-p256.pem");
const ED25519: &str = include_str!("../../../tests/vectors/rfc9421/test-key-ed25519.key");
const CREATED: u64 = 1_618_884_473;
const BODY: &[u8] = br#"{"hello": "world"}"#;

/// The message `test-request`.
fn test_request() -> (Method, Uri, HeaderMap) {
    let digest = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        ("content-digest", digest),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let uri = Uri::from_static("https://example.com/foo?param=Value&Pet=dog");
    (Method::POST, uri, headers)
}

fn components(texts: &[&str]) -> Vec<Component> {
    let parse = |text: &&str| Component::parse(text).expect("a component");
    texts.iter().map(parse).collect()
}

/// The base and the input of `texts` over the test request.
fn base_of(texts: &[&str], params: &str) -> (String, String) {
    let (method, uri, headers) = test_request();
    let request = Outgoing {
        method: &method,
        uri: &uri,
        headers: &headers,
        body: BODY,
    };
    base(&components(texts), params, &request).expect("a base")
}

fn verifies(
    algorithm: &'static dyn VerificationAlgorithm,
    public: &str,
    base: &str,
    signature: &[u8],
) -> bool {
    // Behind the algorithm stands a bit string without unused bits: the key, of a known length.
    let der = SubjectPublicKeyInfoDer::from_pem_slice(public.as_bytes()).expect("a key");
    let key_len = if public == ECDSA_PUBLIC { 65 } else { 270 };
    let key = der.last_chunk_of(key_len);
    UnparsedPublicKey::new(algorithm, key)
        .verify(base.as_bytes(), signature)
        .is_ok()
}

trait LastChunk {
    fn last_chunk_of(&self, len: usize) -> &[u8];
}

impl LastChunk for SubjectPublicKeyInfoDer<'_> {
    fn last_chunk_of(&self, len: usize) -> &[u8] {
        &self.as_ref()[self.as_ref().len() - len..]
    }
}

fn bytes(signature: &str) -> Vec<u8> {
    from_base64(signature).expect("base64")
}

#[test]
fn b_2_1_to_3_rsa_pss_signatures_are_of_our_base() {
    let table = [
        (
            &[][..],
            ";created=1618884473;keyid=\"test-key-rsa-pss\";nonce=\"b3k2pp5k7z-50gnwp.yemd\"",
            "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
        ),
        (
            &["@authority", "content-digest", "@query-param;name=\"Pet\""],
            ";created=1618884473;keyid=\"test-key-rsa-pss\";tag=\"header-example\"",
            "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
        ),
        (
            &[
                "date",
                "@method",
                "@path",
                "@query",
                "@authority",
                "content-type",
                "content-digest",
                "content-length",
            ],
            ";created=1618884473;keyid=\"test-key-rsa-pss\"",
            "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
        ),
    ];
    let key = Key::parse(SignatureAlgorithm::RsaPssSha512, RSA).expect("a key");
    for (texts, params, published) in table {
        let (base, _) = base_of(texts, params);

        let ours = key.sign(base.as_bytes()).expect("signed");

        let good =
            |signature: &[u8]| verifies(&RSA_PSS_2048_8192_SHA512, RSA_PUBLIC, &base, signature);
        assert!(good(&bytes(published)), "{base}");
        assert!(good(&ours), "{base}");
        assert!(!good(&bytes(published)[1..]));
    }
}

/// The example signs a response, which is not ours to sign: its base is written out.
#[test]
fn b_2_4_ecdsa_signatures_are_of_the_same_key() {
    let base = "\"@status\": 200\n\"content-type\": application/json\n\"content-digest\": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:\n\"content-length\": 23\n\"@signature-params\": (\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"";
    let published = bytes(
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
    );
    let key = Key::parse(SignatureAlgorithm::EcdsaP256Sha256, ECDSA).expect("a key");

    let ours = key.sign(base.as_bytes()).expect("signed");

    let good = |signature: &[u8]| verifies(&ECDSA_P256_SHA256_FIXED, ECDSA_PUBLIC, base, signature);
    assert!(good(&published));
    assert!(good(&ours));
}

#[test]
fn b_2_5_and_6_deterministic_signatures_come_out() {
    let table = [
        (
            SignatureAlgorithm::HmacSha256,
            SHARED,
            &["date", "@authority", "content-type"][..],
            "test-shared-secret",
            "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
        ),
        (
            SignatureAlgorithm::Ed25519,
            ED25519,
            &[
                "date",
                "@method",
                "@path",
                "@authority",
                "content-type",
                "content-length",
            ],
            "test-key-ed25519",
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        ),
    ];
    for (algorithm, key, texts, key_id, published) in table {
        let key = Key::parse(algorithm, key).expect("a key");
        let params = format!(";created={CREATED};keyid=\"{key_id}\"");
        let (base, _) = base_of(texts, &params);

        let signature = key.sign(base.as_bytes()).expect("signed");

        assert_eq!(base64(&signature), published, "{base}");
    }
}

fn settings(texts: &[&str]) -> SignatureSettings {
    SignatureSettings {
        key_id: "a \"key\"".to_owned(),
        algorithm: SignatureAlgorithm::Ed25519,
        key: Secret::fixed(ED25519),
        components: components(texts),
        label: "nozzle".to_owned(),
        expires_after: Some(Duration::from_secs(60)),
        tag: Some("orders".to_owned()),
        digest: DigestAlgorithm::Sha512,
    }
}

#[test]
fn a_request_gets_the_digest_of_its_body_and_a_signature_of_what_it_has() {
    let (method, uri, mut headers) = test_request();
    // A digest that is not the body's is replaced.
    headers.insert(CONTENT_DIGEST, HeaderValue::from_static("sha-512=:AA==:"));
    let settings = settings(&["@method", "@target-uri", "x-none", "content-digest"]);
    let signature = Signature::new(&settings).expect("usable");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(CREATED);
    let sign = |body: &[u8]| {
        let request = Outgoing {
            method: &method,
            uri: &uri,
            headers: &headers,
            body,
        };
        let added = signature.sign(&request, now).expect("signed");
        let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
        let pairs = added
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)));
        pairs.collect::<std::collections::BTreeMap<_, _>>()
    };

    let with = sign(BODY);
    let without = sign(b"");

    let params = ";created=1618884473;keyid=\"a \\\"key\\\"\";alg=\"ed25519\";expires=1618884533;tag=\"orders\"";
    assert_eq!(
        with["signature-input"],
        format!("nozzle=(\"@method\" \"@target-uri\" \"content-digest\"){params}")
    );
    // The digest of RFC 9421's own test request.
    assert_eq!(
        with["content-digest"],
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
    );
    assert_eq!(
        without["signature-input"],
        format!("nozzle=(\"@method\" \"@target-uri\"){params}")
    );
    assert!(!without.contains_key("content-digest"));
    assert_ne!(with["signature"], without["signature"]);
}

#[test]
fn a_key_of_another_kind_is_refused_and_not_shown() {
    let table = [
        (SignatureAlgorithm::Ed25519, ECDSA),
        (SignatureAlgorithm::Ed25519, RSA),
        (SignatureAlgorithm::EcdsaP256Sha256, ED25519),
        (SignatureAlgorithm::EcdsaP256Sha256, RSA),
        (SignatureAlgorithm::RsaPssSha512, ECDSA),
        (SignatureAlgorithm::RsaPssSha512, ED25519),
        (SignatureAlgorithm::RsaPssSha512, RSA_PUBLIC),
        (SignatureAlgorithm::Ed25519, "canary"),
        (SignatureAlgorithm::HmacSha256, "canary!"),
        (SignatureAlgorithm::HmacSha256, ""),
    ];
    for (algorithm, text) in table {
        let error = Key::parse(algorithm, text).err().expect("refused");

        assert!(error.to_string().starts_with("`key` "), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[test]
fn components_are_read_and_their_values_are_what_the_rfc_says() {
    // Section 2.2.
    let uri = Uri::from_static("https://WWW.example.com:8443/path?param=value&foo=bar&q=a%20b+c&x");
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-list", " a "), ("x-list", "b, c"), ("x-empty", "")] {
        headers.append(name, HeaderValue::from_static(value));
    }
    let request = Outgoing {
        method: &Method::POST,
        uri: &uri,
        headers: &headers,
        body: b"12345",
    };
    let table = [
        ("@method", Some("POST")),
        ("@authority", Some("www.example.com:8443")),
        ("@scheme", Some("https")),
        (
            "@request-target",
            Some("/path?param=value&foo=bar&q=a%20b+c&x"),
        ),
        ("@path", Some("/path")),
        ("@query", Some("?param=value&foo=bar&q=a%20b+c&x")),
        ("@query-param;name=\"q\"", Some("a%20b%20c")),
        ("@query-param;name=\"x\"", Some("")),
        ("@query-param;name=\"none\"", None),
        ("x-list", Some("a, b, c")),
        ("x-empty", Some("")),
        ("content-length", Some("5")),
        ("x-none", None),
    ];
    for (text, expected) in table {
        let component = Component::parse(text).expect("a component");

        let value = component.value(&request).expect("a value");

        assert_eq!(value.as_deref(), expected, "{text}");
    }
    for wrong in ["@status", "@", "host", "a b", "@query-param", ""] {
        assert!(Component::parse(wrong).is_err(), "{wrong}");
    }
}
