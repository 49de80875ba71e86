//! Checks that the numbers of an RSA key belong together. Envoy checks that, and what reads the key
//! here does not.

use rustls::pki_types::PrivateKeyDer;
use x509_parser::der_parser::ber::BerObject;
use x509_parser::der_parser::parse_der;
use x509_parser::num_bigint::BigUint;

/// Whether the key is RSA and its numbers belong together, or is no RSA key.
pub(super) fn is_consistent(key: &PrivateKeyDer<'_>) -> bool {
    match key {
        PrivateKeyDer::Pkcs1(key) => numbers_belong_together(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => {
            let inner = whole(key.secret_pkcs8_der());
            let inner = inner
                .as_ref()
                .and_then(|parts| parts.get(2)?.as_slice().ok());
            inner.is_some_and(numbers_belong_together)
        }
        _ => false,
    }
}

/// The parts of a sequence that is all there is.
fn whole(der: &[u8]) -> Option<Vec<BerObject<'_>>> {
    let (rest, object) = parse_der(der).ok()?;
    rest.is_empty()
        .then(|| object.as_sequence().ok().cloned())?
}

/// RFC 8017, section 3.2: of `version, n, e, d, p, q, dP, dQ, qInv`.
fn numbers_belong_together(der: &[u8]) -> bool {
    let Some(parts) = whole(der) else {
        return false;
    };
    let numbers: Option<Vec<BigUint>> = parts
        .iter()
        .skip(1)
        .map(|part| part.as_biguint().ok())
        .collect();
    let Some([n, e, d, p, q, dp, dq, inverse]) = numbers.as_deref() else {
        return false;
    };
    let one = BigUint::from(1_u8);
    if *p <= one || *q <= one || *n != p * q {
        return false;
    }
    let (below_p, below_q) = (p - &one, q - &one);
    let undoes = |modulus: &BigUint| (e * d) % modulus == &one % modulus;
    undoes(&below_p)
        && undoes(&below_q)
        && *dp == d % &below_p
        && *dq == d % &below_q
        && (inverse * q) % p == one
}
