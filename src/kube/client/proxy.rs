//! Chooses the HTTP or SOCKS proxy through which an API server is reached, as kubectl does.
//!
//! What the kubeconfig says (`proxy-url`) holds, whatever the environment says. Else the
//! environment does, unless the server is on this host or `NO_PROXY` names it.

use std::net::IpAddr;

use anyhow::{Context, bail};
use axum::http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// The environment variables for proxies: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    pub http: Option<String>,
    pub https: Option<String>,
    pub no: Option<String>,
}

impl Environment {
    /// Reads those of this process. The spelling in upper case comes first.
    pub(super) fn read() -> Environment {
        let read = |large: &str, small: &str| {
            let mut both = [large, small]
                .into_iter()
                .filter_map(|name| std::env::var(name).ok());
            both.find(|value| !value.is_empty())
        };
        Environment {
            http: read("HTTP_PROXY", "http_proxy"),
            https: read("HTTPS_PROXY", "https_proxy"),
            no: read("NO_PROXY", "no_proxy"),
        }
    }
}

/// The proxy for a server, if there is one. `own` is the `proxy-url` of the kubeconfig.
///
/// # Errors
/// The proxy cannot be used.
pub(super) fn choose(
    own: Option<&str>,
    server: &Uri,
    environment: &Environment,
) -> anyhow::Result<Option<Uri>> {
    if let Some(own) = own.filter(|own| !own.is_empty()) {
        return read(own).context("proxy-url").map(Some);
    }
    let (name, value) = match server.scheme_str() {
        Some("https") => ("HTTPS_PROXY", &environment.https),
        _ => ("HTTP_PROXY", &environment.http),
    };
    match value {
        Some(value) if !is_direct(server, environment.no.as_deref()) => {
            read(value).context(name).map(Some)
        }
        _ => Ok(None),
    }
}

/// Parses the URL of a proxy; without a scheme it is `http://`.
fn read(text: &str) -> anyhow::Result<Uri> {
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    // The text may have a password in it.
    let Ok(uri) = whole.parse::<Uri>() else {
        bail!("it is not a URL");
    };
    let secret = uri
        .authority()
        .is_some_and(|host| host.as_str().contains('@'));
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        Some("socks5" | "socks5h") if secret => {
            bail!("user and password of a SOCKS proxy are not supported")
        }
        // Names are always left to the proxy.
        Some("socks5") => Ok(uri),
        Some("socks5h") => Ok(whole.replacen("socks5h", "socks5", 1).parse()?),
        Some(other) => bail!("{other}:// is not supported: use http://, https:// or socks5://"),
        None => bail!("it is not a URL"),
    }
}

/// Whether a server is reached directly: it is on this host, or `NO_PROXY` names it.
fn is_direct(server: &Uri, no: Option<&str>) -> bool {
    let host = server.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) {
        return true;
    }
    let port = server.port_u16();
    let port = port.unwrap_or(if server.scheme_str() == Some("https") {
        443
    } else {
        80
    });
    let entries = no.unwrap_or_default().split(',');
    let entries: Vec<_> = entries
        .filter_map(|entry| for_port(entry.trim(), port))
        .collect();
    let somewhere = Matcher::builder()
        .all("http://proxy")
        .no(entries.join(","))
        .build();
    somewhere.intercept(server).is_none()
}

/// An entry of `NO_PROXY` without its port; `None` if it is for another port.
fn for_port(entry: &str, port: u16) -> Option<&str> {
    let entry = entry
        .strip_prefix('*')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(entry);
    let host = match entry.rsplit_once(':') {
        // The colons of an address are none before a port.
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => entry,
        Some((host, of)) if of.parse::<u16>().is_ok() => {
            if of.parse() != Ok(port) {
                return None;
            }
            host
        }
        _ => entry,
    };
    Some(host.trim_start_matches('[').trim_end_matches(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(own: Option<&str>, server: &str, no: &str) -> Option<String> {
        let environment = Environment {
            http: Some("plain:1".to_owned()),
            https: Some("http://user:secret@secure:2".to_owned()),
            no: Some(no.to_owned()).filter(|no| !no.is_empty()),
        };
        let chosen = choose(own, &server.parse().unwrap(), &environment).unwrap();
        chosen.map(|uri| uri.to_string())
    }

    #[test]
    fn what_the_kubeconfig_says_holds_whatever_the_environment_says() {
        let own = |url| chosen(Some(url), "https://api.example.com:6443", "*");
        assert_eq!(
            own("socks5://10.0.0.1:1080").as_deref(),
            Some("socks5://10.0.0.1:1080/")
        );
        assert_eq!(
            own("socks5h://10.0.0.1:1080").as_deref(),
            Some("socks5://10.0.0.1:1080/")
        );
        assert_eq!(
            own("http://10.0.0.1:3128").as_deref(),
            Some("http://10.0.0.1:3128/")
        );
        assert_eq!(own(""), None);
        let loopback = chosen(Some("http://10.0.0.1:3128"), "https://127.0.0.1:6443", "");
        assert!(loopback.is_some());
    }

    #[test]
    fn the_environment_has_a_proxy_for_each_scheme() {
        let secure = chosen(None, "https://api.example.com", "");
        assert_eq!(secure.as_deref(), Some("http://user:secret@secure:2/"));
        let plain = chosen(None, "http://api.example.com", "");
        assert_eq!(plain.as_deref(), Some("http://plain:1/"));
        for here in [
            "https://localhost:6443",
            "https://127.1.2.3",
            "https://[::1]:6443",
        ] {
            assert_eq!(chosen(None, here, ""), None, "{here}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_domains_addresses_and_ranges_some_with_a_port() {
        let server = "https://api.example.com:6443";
        let direct = [
            "api.example.com",
            ".example.com",
            "*.example.com",
            "example.com",
            "other, api.example.com:6443 ,",
            "*",
        ];
        for no in direct {
            assert_eq!(chosen(None, server, no), None, "{no}");
        }
        for no in [
            "api.example.com:443",
            "ample.com",
            "example.org",
            ",",
            "10.0.0.0/8",
        ] {
            assert!(chosen(None, server, no).is_some(), "{no}");
        }
        for (server, no) in [
            ("https://10.1.2.3:6443", "10.0.0.0/8"),
            ("https://10.1.2.3:6443", "10.1.2.3:6443"),
            ("https://[fd00::1]:6443", "fd00::/8"),
            ("https://[fd00::1]:6443", "fd00::1"),
            ("https://[fd00::1]:6443", "[fd00::1]:6443"),
        ] {
            assert_eq!(chosen(None, server, no), None, "{no}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_without_its_password() {
        for (own, why) in [
            ("ftp://10.0.0.1", "ftp:// is not supported"),
            (
                "socks5://me:secret@10.0.0.1:1080",
                "password of a SOCKS proxy",
            ),
            ("http://me:secret@10.0.0.1 :1", "not a URL"),
        ] {
            let server = "https://api.example.com".parse().unwrap();
            let error = choose(Some(own), &server, &Environment::default()).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(why) && !error.contains("secret"), "{error}");
        }
    }
}
