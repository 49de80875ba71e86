//! A service account's token as a proxy presents it (a JSON Web Token): checked locally before it
//! is sent for review, and held so that logs cannot show it.
//!
//! None of its claims is trusted. They only refuse the token sooner than the API server would, and
//! end its place in the cache.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use secrecy::SecretString;
use serde::Deserialize;

/// The largest token, in bytes. Those that API servers issue have one or two thousand.
const MAX_TOKEN: usize = 16 * 1024;
/// The latest expiry that is used, so that arithmetic cannot overflow.
const FURTHEST: Duration = Duration::from_secs(400 * 24 * 3600);

/// The SHA-256 hash of a token, by which caches know it.
pub(super) type Hash = [u8; 32];

/// A token that passed the local checks, so that a TokenReview makes sense.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// The text, which every review sends. Its `Debug` shows nothing, and its memory is zeroed when
    /// freed.
    pub text: Arc<SecretString>,
    pub hash: Hash,
    /// When the token expires (claim `exp`).
    pub expires: SystemTime,
    /// The expiry by the monotonic clock.
    pub until: Instant,
}

/// The reason why a token is refused without a TokenReview.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("it has {0} bytes; at most {MAX_TOKEN} are accepted")]
    Long(usize),
    #[error("it is not a JSON Web Token of three parts")]
    NotJwt,
    #[error("its claims cannot be read")]
    Claims,
    #[error("it never expires (claim exp)")]
    Endless,
    #[error("it has expired, by the clock of this host (claim exp)")]
    Expired,
    #[error("it is not for the audience {0:?} (claim aud)")]
    Audience(Arc<str>),
}

/// The claims of a token that are checked locally.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    aud: Option<Audiences>,
}

/// The claim `aud`: one audience or a list (RFC 7519, 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

impl Token {
    /// Checks a token (RFC 7519; KEP-1205 for those of service accounts). `wall` and `now` are one
    /// moment by two clocks.
    ///
    /// # Errors
    /// No API server would accept it for this audience.
    pub(super) fn read(
        text: &str,
        audience: &Arc<str>,
        wall: SystemTime,
        now: Instant,
    ) -> Result<Token, Flaw> {
        if text.len() > MAX_TOKEN {
            return Err(Flaw::Long(text.len()));
        }
        let claims = claims(text)?;
        let expires = claims.exp.ok_or(Flaw::Endless)?;
        let expires = Duration::try_from_secs_f64(expires).map_err(|_| Flaw::Claims)?;
        let expires = SystemTime::UNIX_EPOCH.checked_add(expires);
        let expires = expires.ok_or(Flaw::Claims)?;
        let left = expires.duration_since(wall).unwrap_or_default();
        if left.is_zero() {
            return Err(Flaw::Expired);
        }
        let meant = match claims.aud {
            Some(Audiences::One(one)) => *one == **audience,
            Some(Audiences::Many(many)) => many.iter().any(|one| **one == **audience),
            None => false,
        };
        if !meant {
            return Err(Flaw::Audience(audience.clone()));
        }
        let mut hash = Hash::default();
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Ok(Token {
            text: Arc::new(text.into()),
            hash,
            expires,
            until: now + left.min(FURTHEST),
        })
    }
}

fn claims(text: &str) -> Result<Claims, Flaw> {
    let mut parts = text.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Flaw::NotJwt);
    };
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    for part in [header, payload, signature] {
        if part.is_empty() || !part.bytes().all(base64) {
            return Err(Flaw::NotJwt);
        }
    }
    let payload = URL_SAFE_NO_PAD.decode(payload);
    let payload = payload.map_err(|_| Flaw::NotJwt)?;
    serde_json::from_slice(&payload).map_err(|_| Flaw::Claims)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn jwt(claims: &Value) -> String {
        let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
        format!("e30.{payload}.c2lnbmF0dXJl")
    }

    fn read(text: &str) -> Result<Token, Flaw> {
        let wall = UNIX_EPOCH + Duration::from_secs(NOW);
        Token::read(text, &"seaway".into(), wall, Instant::now())
    }

    fn good() -> Value {
        json!({"exp": NOW + 60, "aud": ["other", "seaway"]})
    }

    #[test]
    fn a_token_of_a_service_account_is_worth_a_question() {
        let token = read(&jwt(&good())).unwrap();
        assert_eq!(token.expires, UNIX_EPOCH + Duration::from_secs(NOW + 60));
        let single = jwt(&json!({"exp": NOW + 1, "aud": "seaway"}));
        assert_ne!(read(&single).unwrap().hash, token.hash);
        assert_eq!(read(&jwt(&good())).unwrap().hash, token.hash);
    }

    #[test]
    fn a_token_that_no_api_server_would_accept_is_refused_without_a_question() {
        let jwt = jwt(&good());
        let (signed, _) = jwt.rsplit_once('.').unwrap();
        for text in ["", "..", "a.b", "a.!.c", "ä.e30.c", "a.e30.c.d", signed] {
            assert_eq!(read(text).unwrap_err(), Flaw::NotJwt, "{text}");
        }
        assert_eq!(read(&format!("{jwt} ")).unwrap_err(), Flaw::NotJwt);
        assert_eq!(read(&format!("{signed}.")).unwrap_err(), Flaw::NotJwt);
        let long = format!("{jwt}{}", "a".repeat(MAX_TOKEN));
        assert_eq!(read(&long).unwrap_err(), Flaw::Long(long.len()));

        let other = || Flaw::Audience("seaway".into());
        let cases = [
            (json!({"exp": NOW, "aud": "seaway"}), Flaw::Expired),
            (json!({"exp": 0, "aud": "seaway"}), Flaw::Expired),
            (json!({"aud": "seaway"}), Flaw::Endless),
            (json!({"exp": null, "aud": "seaway"}), Flaw::Endless),
            (json!({"exp": -1, "aud": "seaway"}), Flaw::Claims),
            (json!({"exp": 1e300, "aud": "seaway"}), Flaw::Claims),
            (json!({"exp": "soon", "aud": "seaway"}), Flaw::Claims),
            (json!({"exp": NOW + 9, "aud": 7}), Flaw::Claims),
            (json!([]), Flaw::Claims),
            (json!({"exp": NOW + 9}), other()),
            (json!({"exp": NOW + 9, "aud": []}), other()),
            (json!({"exp": NOW + 9, "aud": ["seaway2"]}), other()),
        ];
        for (claims, flaw) in cases {
            assert_eq!(read(&self::jwt(&claims)).unwrap_err(), flaw, "{claims}");
        }
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        let text = jwt(&good());
        let shown = format!("{:?}", read(&text).unwrap());
        for part in text.split('.').skip(1) {
            assert!(!shown.contains(part), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_flaw_repeats_the_text(text in "\\PC{0,60}", claims in "\\PC{0,40}") {
            for text in [text, format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(&claims))] {
                if let Err(flaw) = read(&text) {
                    let shown = flaw.to_string();
                    prop_assert!(text.len() < 8 || !shown.contains(&text), "{shown}");
                }
            }
        }
    }
}
