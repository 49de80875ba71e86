//! [`Sensitive`]: a wrapper for content that only a proxy may see.

use std::fmt;

/// Content that is for proxies alone, such as a private key: nothing prints it, and it cannot be
/// serialized, so that it is in no log, no problem and no checkpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Wraps content that is for proxies alone.
    pub const fn new(content: T) -> Sensitive<T> {
        Sensitive(content)
    }

    /// The wrapped content, for the message that takes it to a proxy.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sensitive(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_it() {
        let key = Sensitive::new("the key");
        assert_eq!(format!("{key:?} {key:#?}"), "Sensitive(…) Sensitive(…)");
        assert_eq!(*key.expose(), "the key");
    }
}
