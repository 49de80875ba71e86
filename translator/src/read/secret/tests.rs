#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use serde_json::json;

use super::*;
use crate::model::{Certificate, KeyAlgorithm};

/// A certificate or key of `testdata/certificates`, as text.
macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("../../../testdata/certificates/", $name))
    };
}

/// What is read of a Secret with this chain and this key.
fn read_pair(chain: &str, key: &str) -> Result<Certificate, String> {
    let secret = json!({
        "metadata": {"name": "s", "namespace": "d"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": chain, "tls.key": key},
    });
    read_json(secret).certificate.map_err(|why| why.to_string())
}

fn read_json(secret: serde_json::Value) -> Secret {
    read(&serde_json::from_value(secret).unwrap()).unwrap()
}

#[test]
fn a_pair_that_fits_is_written_anew() {
    for (chain, key, algorithm) in [
        (pem!("ec.crt"), pem!("ec.key"), KeyAlgorithm::Ecdsa),
        (pem!("ec.crt"), pem!("ec.sec1"), KeyAlgorithm::Ecdsa),
        (pem!("p384.crt"), pem!("p384.key"), KeyAlgorithm::Ecdsa),
        (pem!("rsa.crt"), pem!("rsa.key"), KeyAlgorithm::Rsa),
        (pem!("rsa.crt"), pem!("rsa.pkcs1"), KeyAlgorithm::Rsa),
    ] {
        let read = read_pair(chain, key).unwrap();
        assert_eq!(*read.chain, *chain);
        assert_eq!(**read.key.expose(), *key);
        assert_eq!(read.algorithm, algorithm);
        // Envoy takes none of these as they are.
        let ends = |text: &str| text.replace('\n', "\r\n");
        let trimmed = |text: &str| text.trim_end().to_owned();
        let around = |text: &str| format!("what it is for\n\n{text}\n\nand more");
        for change in [&ends as &dyn Fn(&str) -> String, &trimmed, &around] {
            assert_eq!(read_pair(&change(chain), &change(key)).unwrap(), read);
        }
    }
    let read = read_pair(pem!("ec.crt"), pem!("ec.key")).unwrap();
    let names: Vec<&str> = read.names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["shop.example.com", "*.shop.example.com"]);
    assert!(read.expires > 4_000_000_000, "{}", read.expires);
}

#[test]
fn a_chain_keeps_its_order() {
    let chain = [pem!("ec.crt"), pem!("rsa.crt")].concat();
    assert_eq!(*read_pair(&chain, pem!("ec.key")).unwrap().chain, *chain);
    let other = [pem!("rsa.crt"), pem!("ec.crt")].concat();
    let why = read_pair(&other, pem!("ec.key")).unwrap_err();
    assert_eq!(
        why,
        "tls.key is not the key of the first certificate of tls.crt"
    );
    let long = pem!("ec.crt").repeat(17);
    let why = read_pair(&long, pem!("ec.key")).unwrap_err();
    assert_eq!(why, "tls.crt has more than 16 certificates");
}

/// Gateway rule 35, GW050.
#[test]
fn what_envoy_would_refuse_is_refused_in_words() {
    let (ec, key) = (pem!("ec.crt"), pem!("ec.key"));
    let half = &ec[..ec.len() / 2];
    let large = "-".repeat(200_000);
    let unfit = "tls.key cannot be used: it has to be RSA of 2048 to 4096 bits, or ECDSA with \
                 P-256 or P-384";
    let unrelated = "the numbers of the RSA key in tls.key do not belong together";
    for (chain, key, why) in [
        (
            ec,
            pem!("rsa.key"),
            "tls.key is not the key of the first certificate of tls.crt",
        ),
        ("Hello world", key, "tls.crt has no certificate"),
        ("", key, "tls.crt has no certificate"),
        (half, key, "tls.crt is not in PEM"),
        (ec, "Hello world", "tls.key has no private key in PEM"),
        (ec, ec, "tls.key has no private key in PEM"),
        (
            ec,
            pem!("ec.enc"),
            "tls.key is encrypted, and nothing has its password",
        ),
        (
            pem!("weak.crt"),
            pem!("weak.key"),
            "its RSA key has 1024 bits, fewer than 2048",
        ),
        (pem!("p521.crt"), pem!("p521.key"), unfit),
        (
            pem!("ed.crt"),
            pem!("ed.key"),
            "its key is neither RSA nor ECDSA, and Envoy serves with no other",
        ),
        (
            pem!("staple.crt"),
            pem!("staple.key"),
            "it asks for an answer of OCSP beside it (must-staple), and there is none",
        ),
        (
            pem!("usage.crt"),
            pem!("usage.key"),
            "its key usage does not allow signatures, which ECDSA needs",
        ),
        (
            pem!("trailing.crt"),
            key,
            "certificate 1 of tls.crt cannot be read",
        ),
        (pem!("rsa.crt"), pem!("wrong-d.pkcs1"), unrelated),
        (pem!("rsa.crt"), pem!("wrong-dp.pkcs1"), unrelated),
        (&large, key, "tls.crt has more than 131072 bytes"),
        (ec, &large, "tls.key has more than 131072 bytes"),
    ] {
        assert_eq!(read_pair(chain, key).unwrap_err(), why);
    }
}

#[test]
fn data_is_in_base64_and_string_data_wins() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let encoded = |text: &str| BASE64_STANDARD.encode(text);
    let (chain, key) = (encoded(pem!("ec.crt")), encoded(pem!("ec.key")));
    let secret = |data: serde_json::Value, plain: serde_json::Value| {
        let metadata = json!({"name": "s"});
        let secret = read_json(json!({"metadata": metadata, "data": data, "stringData": plain}));
        secret.certificate.map_err(|why| why.to_string())
    };
    let data = json!({"tls.crt": chain, "tls.key": key, "ca.crt": 1});
    let read = secret(data.clone(), json!(null)).unwrap();
    assert_eq!(read.algorithm, KeyAlgorithm::Ecdsa);
    let plain = json!({"tls.crt": pem!("rsa.crt"), "tls.key": pem!("rsa.key")});
    assert_eq!(
        secret(data.clone(), plain).unwrap().algorithm,
        KeyAlgorithm::Rsa
    );
    for (data, why) in [
        (json!({}), "it has no tls.crt"),
        (json!({"tls.crt": chain}), "it has no tls.key"),
        (
            json!({"tls.crt": chain, "tls.key": "%"}),
            "tls.key is not in base64",
        ),
        (
            json!({"tls.crt": chain, "tls.key": [1]}),
            "it has no tls.key",
        ),
        (json!([1]), "it has no tls.crt"),
        (json!("the key"), "it has no tls.crt"),
    ] {
        assert_eq!(secret(data, json!(null)).unwrap_err(), why);
    }
}

#[test]
fn nothing_of_it_is_printed_or_kept() {
    let secret = json!({
        "metadata": {"name": "s", "namespace": "d"},
        "stringData": {"tls.crt": pem!("ec.crt"), "tls.key": pem!("ec.key")},
    });
    let api: k8s::Secret = serde_json::from_value(secret.clone()).unwrap();
    let object = crate::read::secret(&api).unwrap();
    let key = pem!("ec.key").lines().nth(1).unwrap();
    assert!(!format!("{api:?} {object:?}").contains(&key[..20]));
    let kept = serde_json::to_string(&object).unwrap_err();
    assert_eq!(kept.to_string(), "a Secret is not written");
    assert!(!object.secrets().iter().any(|_| true));
}
